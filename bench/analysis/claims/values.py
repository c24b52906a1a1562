"""The numbers that a contrast consists of: one for each seed, and one for each task and seed."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from bench.analysis.claims.quantities import (
    AT_EQUAL_KL,
    TURNING_KL,
    frontier_points,
    furthest_kls,
    quantity,
)
from bench.analysis.statistics import mean_gap, slope_weights
from bench.config.claim import ClaimContrast, Side
from bench.results.loading import Results

CONDITION_COLUMNS = ["task", "level", "weight", "seed", "value"]


def by_condition(results: Results, contrast: ClaimContrast) -> pd.DataFrame:
    """Return the difference between both sides for each task and seed.

    Returns:
        A row for each, with the columns task, level, weight, seed and value. A seed without a
        value on a task, such as one whose run failed, has no row.
    """
    name = contrast.quantity
    limits = _turning_limits(results, contrast) if name == TURNING_KL else None
    rows = [
        [side.task, contrast.levels.get(side.task), weight, seed, float(value)]
        for task, weight in weights(contrast).items()
        for side, other in [contrast.sides(task)]
        for seed, value in _difference(results, name, side, other, limits).dropna().items()
    ]
    return pd.DataFrame(rows, columns=CONDITION_COLUMNS)


def weights(contrast: ClaimContrast) -> dict[str, float]:
    """Return the weight of each task's difference in the contrast's number."""
    if contrast.levels:
        slope = slope_weights(list(contrast.levels.values()))
        return dict(zip(contrast.levels, slope.tolist(), strict=True))
    return contrast.weights or {contrast.task: 1.0}


def by_seed(contrast: ClaimContrast, conditions: pd.DataFrame) -> pd.Series:
    """Return a contrast's number for each seed: the weighted sum over its tasks.

    Args:
        contrast: The contrast.
        conditions: From `by_condition`.

    Returns:
        Only the seeds that have a value on every task.
    """
    weighted = conditions.assign(value=conditions["value"] * conditions["weight"])
    table = weighted.pivot(index="seed", columns="task", values="value")
    # A task without a value at any seed has no column of its own.
    table = table.reindex(columns=[contrast.sides(task)[0].task for task in weights(contrast)])
    return table.dropna().sum(axis="columns") - contrast.than


def _difference(
    results: Results, name: str, side: Side, other: Side | None, limits: pd.Series | None
) -> pd.Series:
    if name == AT_EQUAL_KL:
        return _at_equal_kl(results, side, other or side)
    ours = _value(results, name, side, limits)
    return ours - _value(results, name, other, limits) if other else ours


def _value(results: Results, name: str, side: Side, limits: pd.Series | None) -> pd.Series:
    values = quantity(results, name, side)
    return values if limits is None else values.reindex(limits.index).clip(upper=limits)


def _turning_limits(results: Results, contrast: ClaimContrast) -> pd.Series:
    """Return the KL that all sides of a contrast reach, by seed, where gold turns before it.

    Beyond it, gold could seem to turn later for the side that trains further. Where gold turns on
    no side before it, nothing is known of the difference.
    """
    sides = [side for task in weights(contrast) for side in contrast.sides(task) if side]
    reached = _least(furthest_kls(results, side) for side in sides)
    turning = _least(quantity(results, contrast.quantity, side) for side in sides)
    return reached[turning.reindex(reached.index) < reached]


def _least(of_sides: Iterable[pd.Series]) -> pd.Series:
    return pd.concat(list(of_sides)).groupby(level=0).min()


def _at_equal_kl(results: Results, side: Side, other: Side) -> pd.Series:
    """Return the mean difference in reward over the KLs that both sides reach, by seed."""
    ours, theirs = frontier_points(results, side), frontier_points(results, other)
    gaps = {seed: mean_gap(ours[seed], theirs[seed]) for seed in ours.keys() & theirs.keys()}
    return pd.Series({s: gap.gap if gap else math.nan for s, gap in gaps.items()}, dtype=float)

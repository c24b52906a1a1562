"""Verdicts where all seeds share the test prompts, as those of recorded data do.

Nothing is trained: the difference of two methods at seed s on prompt p is drawn as

    d[s, p] = difference + seed[s] + prompt[p] + rest[s, p]

with random effects. The deviations of seeds are small, medium and large beside that of prompts,
which is 1: a difference is in standard deviations over prompts. Effects are normal, and in two more
cells heavy-tailed or skewed, as the rewards of a judge can be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy import ndarray

from bench.analysis.statistics import (
    SEEDS_FOR_VERDICT,
    SIGNIFICANCE,
    CrossedMean,
    crossed_mean,
    sign_flip_ps,
)
from bench.calibration.summary import share

SEEDS = SEEDS_FOR_VERDICT
PROMPT_DEVIATION, REST_DEVIATION = 1.0, 0.5
DIFFERENCES = (0.0, 0.1, 0.2, 0.4)
COMPARISONS = 20_000
# The memory for more at once would be hundreds of megabytes.
AT_ONCE = 1_000
COLUMNS = [
    *("prompts", "seed_deviation", "effects", "difference", "comparisons"),
    *("better", "worse", "none", "seeds_alone", "covered"),
]
# Mean and standard deviation of a lognormal distribution.
LOGNORMAL = (float(np.exp(0.5)), float((np.e - 1) * np.e) ** 0.5)
Draw = Callable[[np.random.Generator, tuple[int, ...]], ndarray]
# Of mean 0 and variance 1: normal, Student's t with 3 degrees of freedom, and lognormal.
EFFECTS: dict[str, Draw] = {
    "normal": lambda random, size: random.normal(size=size),
    "heavy-tailed": lambda random, size: random.standard_t(3, size=size) / 3**0.5,
    "skewed": lambda random, size: (random.lognormal(size=size) - LOGNORMAL[0]) / LOGNORMAL[1],
}


class Cell(NamedTuple):
    """What the comparisons of a row have in common.

    Attributes:
        prompts: Number of prompts.
        seed_deviation: Standard deviation of the seeds' effects.
        effects: How all effects are distributed, see EFFECTS.
    """

    prompts: int
    seed_deviation: float
    effects: str = "normal"


CELLS = (
    *(Cell(prompts, deviation) for prompts in (64, 256) for deviation in (0.02, 0.05, 0.2)),
    *(Cell(64, 0.05, effects) for effects in ("heavy-tailed", "skewed")),
)


def simulate(comparisons: int | None = None) -> pd.DataFrame:
    """Return how comparisons come out, for each cell and difference.

    Args:
        comparisons: Number of comparisons of each kind; 20,000 by default.

    Returns:
        better, worse, none: Number of comparisons by verdict.
        seeds_alone: Number that would get a verdict by the analysis over seeds alone.
        covered: Number whose 95% interval contains the true difference.
    """
    rows = [row for cell in CELLS for row in _simulate(cell, comparisons or COMPARISONS)]
    return pd.DataFrame(rows, columns=COLUMNS)


def draw(cell: Cell, comparisons: int, random: np.random.Generator) -> ndarray:
    """Return differences between methods that are equal, [comparisons, SEEDS, prompts]."""
    effects = EFFECTS[cell.effects]
    of_seeds = cell.seed_deviation * effects(random, (comparisons, SEEDS, 1))
    of_prompts = PROMPT_DEVIATION * effects(random, (comparisons, 1, cell.prompts))
    rest = REST_DEVIATION * effects(random, (comparisons, SEEDS, cell.prompts))
    return of_seeds + of_prompts + rest


def _simulate(cell: Cell, comparisons: int) -> Iterator[list[Any]]:
    """Yield a row for each difference; all of them shift the same draws."""
    random = np.random.default_rng(CELLS.index(cell))
    by_seed, found = [], []
    for start in range(0, comparisons, AT_ONCE):
        table = draw(cell, min(AT_ONCE, comparisons - start), random)
        by_seed.append(table.mean(-1))
        found.append(crossed_mean(table))
    seeds = np.concatenate(by_seed)
    crossed = CrossedMean(*(np.concatenate(part, axis=-1) for part in zip(*found, strict=True)))
    # The errors do not depend on the difference.
    covered = int((np.abs(crossed.mean) <= crossed.half_width()).sum())
    for difference in DIFFERENCES:
        shifted = crossed._replace(mean=crossed.mean + difference)
        signs = verdicts(seeds + difference, shifted)
        better, worse = int((signs > 0).sum()), int((signs < 0).sum())
        counts = [better, worse, comparisons - better - worse]
        alone = int((seeds_alone(seeds + difference) != 0).sum())
        yield [*cell, difference, comparisons, *counts, alone, covered]


def verdicts(by_seed: ndarray, crossed: CrossedMean) -> ndarray:
    """Return the verdict of each comparison: 1 for better, -1 for worse, 0 for none.

    Args:
        by_seed: The difference at each seed, [comparisons, SEEDS].
        crossed: The mean differences over seeds and prompts, [comparisons].
    """
    p = np.maximum(sign_flip_ps(by_seed), crossed.p())
    return np.where(p < SIGNIFICANCE, np.sign(crossed.mean), 0)


def seeds_alone(by_seed: ndarray) -> ndarray:
    """Return the verdicts of sign-flip test and t-interval over seeds, as on embedded tasks."""
    return verdicts(by_seed, crossed_mean(by_seed[:, :, None]))


def summarize_shared_prompts(cells: pd.DataFrame) -> dict[str, Any]:
    """Summarize the simulation.

    Args:
        cells: From `simulate`.

    Returns:
        seeds, prompt_deviation, rest_deviation: What all cells share.
        cells: For each cell the shares of false verdicts, with a 95% Clopper-Pearson interval, of
            false verdicts by seeds alone, of intervals that contain the truth, and of right
            verdicts by difference.
    """
    names = list(Cell._fields)
    summaries = [_summary(rows) for _, rows in cells.groupby(names, sort=False)]
    return {
        "seeds": SEEDS,
        "prompt_deviation": PROMPT_DEVIATION,
        "rest_deviation": REST_DEVIATION,
        "cells": summaries,
    }


def _summary(rows: pd.DataFrame) -> dict[str, Any]:
    [equal, *others] = rows.sort_values("difference").to_dict("records")
    of = equal["comparisons"]
    return {
        **{name: equal[name] for name in Cell._fields},
        "false_verdicts": share(equal["better"] + equal["worse"], of),
        "seeds_alone": equal["seeds_alone"] / of,
        "coverage": equal["covered"] / of,
        "right": {f"{row['difference']:g}": row["better"] / of for row in others},
    }

"""What the head-to-head tab shows: every pair of methods, by seed and by prompt."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any

import pandas as pd
from pandas import DataFrame

from bench.analysis.contrasts import Comparison, exploratory, with_verdict
from bench.analysis.head_to_head import head_to_head_of, length_controlled_rate
from bench.analysis.selection import of_selected, ok_rows, selected_rewards
from bench.analysis.statistics import two_way_error
from bench.report.charts.style import ZERO_COLOR
from bench.results.loading import Results

DIGITS = 6


def head_to_head_data(results: Results) -> dict[str, Any]:
    """Return every comparison of two methods, as JSON can hold it.

    Numbers that are missing are absent in objects and None in lists. All differences are the first
    method less the second.

    Returns:
        `specs`: Of the two charts (see `head_to_head_specs`). `tasks`: By task, its methods with a
        result; `default`, the pair to show first; its seeds; `rewards`, the reward of each method
        on each seed; `pairs`; and, where there are samples, `prompt_rewards`: the mean reward of
        each method on each test prompt, in the order in which the samples have the prompts.
    """
    tasks = {task: _task_data(results, task) for task in results.tasks}
    return {"specs": head_to_head_specs(), "tasks": tasks}


def _task_data(results: Results, task: str) -> dict[str, Any]:
    by_seed = selected_rewards(results, task).by_seed
    by_prompt = _rewards_by_prompt(results, task, by_seed)
    methods = [method for method in results.methods if method in by_seed]
    comparisons = _comparisons(results, task, methods)
    rates = _win_rates(results, task, [(c.method, c.other) for c in comparisons])
    data = {
        "methods": methods,
        "default": [comparisons[0].method, comparisons[0].other] if comparisons else [],
        "seeds": [int(seed) for seed in by_seed.index],
        "rewards": {method: _numbers(by_seed[method]) for method in methods},
        "pairs": [
            _pair(c, by_seed)
            | rates.get((c.method, c.other), {})
            | _shared_seeds(by_prompt, c.method, c.other)
            for c in comparisons
        ],
    }
    if not by_prompt.empty:
        means = by_prompt.groupby(level="method", sort=False).mean()
        data["prompt_rewards"] = {str(method): _numbers(row) for method, row in means.iterrows()}
    return data


def _comparisons(results: Results, task: str, methods: list[str]) -> list[Comparison]:
    """Return one comparison of every two methods, those that may have a verdict first."""
    pairs: dict[frozenset[str], Comparison] = {}
    for comparison in [*with_verdict(results, task), *exploratory(results, task)]:
        pair = frozenset((comparison.method, comparison.other))
        if len(pair & set(methods)) == 2:
            pairs.setdefault(pair, comparison)
    return list(pairs.values())


def _pair(comparison: Comparison, by_seed: DataFrame) -> dict[str, Any]:
    contrast = comparison.contrast
    over_prompts = contrast.over_prompts
    differences = by_seed[comparison.method] - by_seed[comparison.other]
    numbers = {
        "difference": contrast.difference.mean,
        "low": contrast.difference.low,
        "high": contrast.difference.high,
        "sign_flip_p": contrast.sign_flip_p,
        "two_way_p": over_prompts.p if over_prompts else math.nan,
        "holm_p": comparison.holm_p,
    }
    return {
        "a": comparison.method,
        "b": comparison.other,
        "kind": comparison.kind,
        **({"verdict": comparison.verdict} if comparison.verdict else {}),
        "seeds": len(contrast.differences),
        "lost": list(contrast.lost),
        **({"prompts": over_prompts.prompts} if over_prompts else {}),
        **_known(numbers),
        "differences": _numbers(differences),
    }


def _win_rates(
    results: Results, task: str, pairs: Collection[tuple[str, str]]
) -> dict[tuple[str, str], dict[str, float]]:
    """Return how often the first method of each pair wins, with the error and at equal length."""
    rates = {}
    groups = head_to_head_of(results, task).groupby(["method", "opponent"], sort=False)
    for (method, opponent), rows in groups:
        pair = str(method), str(opponent)
        if pair not in pairs:
            continue
        won, seeds, prompts = (rows[name].to_numpy() for name in ("win_rate", "seed", "prompt"))
        rates[pair] = _known(
            {
                "win_rate": float(won.mean()),
                "win_rate_error": two_way_error(won, seeds, prompts),
                "length_controlled": length_controlled_rate(rows),
            }
        )
    return rates


def _rewards_by_prompt(results: Results, task: str, by_seed: DataFrame) -> DataFrame:
    """Return mean rewards with a row for each method and seed, a column for each test prompt."""
    samples = results.samples
    rows = samples[(samples["task"] == task) & (samples["split"] == "test")]
    rows = rows[["task", "method", "params", "seed", "prompt", "reward"]]
    rows = of_selected(rows, ok_rows(results.runs), task)
    numbers, prompts = pd.factorize(rows["prompt"])
    rows = rows.assign(prompt=numbers)
    key = ["method", "seed", "prompt"]
    means = rows.groupby(key, sort=False)["reward"].mean().unstack("prompt")
    finished = by_seed.T.stack().dropna().index
    return means[means.index.isin(finished)].reindex(columns=range(len(prompts)))


def _shared_seeds(by_prompt: DataFrame, method: str, other: str) -> dict[str, Any]:
    """Return a pair's rewards by prompt where the two have other seeds than each other.

    Their means over all seeds would compare seeds as well as methods.
    """
    sampled = by_prompt.index.get_level_values("method")
    if not {method, other} <= set(sampled):
        return {}
    first, second = by_prompt.xs(method), by_prompt.xs(other)
    if set(first.index) == set(second.index):
        return {}
    both = first.index.intersection(second.index)
    means = [DataFrame(side).reindex(both).mean() for side in (first, second)]
    return {"prompt_rewards": [_numbers(mean) for mean in means]}


def _rounded(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def _numbers(values: Iterable[float]) -> list[float | None]:
    return [_rounded(value) for value in values]


def _known(values: dict[str, float]) -> dict[str, float]:
    rounded = {name: _rounded(value) for name, value in values.items()}
    return {name: value for name, value in rounded.items() if value is not None}


def head_to_head_specs() -> dict[str, dict[str, Any]]:
    """Return the Vega-Lite specs of the charts by seed and by prompt.

    Rows of `seeds` have row (the seed or "mean"), difference, color and tooltip (an object); that
    of the mean has low and high as well. Rows of `prompts` have index, rank, difference, color and
    tooltip, and are in the order of rank. The page gives the charts their size.
    """
    return {"seeds": _seeds_spec(), "prompts": _prompts_spec()}


def _seeds_spec() -> dict[str, Any]:
    row = {"field": "row", "type": "nominal", "sort": None, "title": None}
    difference = {
        "field": "difference",
        "type": "quantitative",
        "title": "difference in reward",
        "axis": {"tickCount": 6},
    }
    is_mean = "datum.row === 'mean'"
    return {
        "description": "Difference in reward on each seed, and their mean.",
        "data": {"name": "seeds"},
        "encoding": {"y": row},
        "layer": [
            _zero_line("x"),
            {
                "transform": [{"filter": "isValid(datum.low)"}],
                "mark": {"type": "rule", "strokeWidth": 3},
                "encoding": {
                    "x": {**difference, "field": "low"},
                    "x2": {"field": "high"},
                    "color": _color(),
                },
            },
            {
                "mark": {"type": "point", "filled": True, "opacity": 1, "tooltip": _tooltip()},
                "encoding": {
                    "x": difference,
                    "color": _color(),
                    "shape": {
                        "condition": {"test": is_mean, "value": "diamond"},
                        "value": "circle",
                    },
                    "size": {"condition": {"test": is_mean, "value": 160}, "value": 70},
                },
            },
        ],
    }


def _prompts_spec() -> dict[str, Any]:
    rank = {"field": "rank", "type": "ordinal", "axis": None}
    difference = {"field": "difference", "type": "quantitative", "title": "difference in reward"}
    return {
        "description": "Difference in reward on each test prompt, in order.",
        "data": {"name": "prompts"},
        "encoding": {"x": rank},
        "layer": [
            _zero_line("y"),
            {"mark": {"type": "bar"}, "encoding": {"y": difference, "color": _color()}},
            # Bars near 0 are too small to point at: the whole height answers for them.
            {
                "mark": {"type": "bar", "opacity": 0, "cursor": "pointer", "tooltip": _tooltip()},
                "encoding": {"y": {"value": 0}, "y2": {"value": "height"}},
            },
        ],
    }


def _zero_line(channel: str) -> dict[str, Any]:
    other = {"x": "y", "y": "x"}[channel]
    return {
        "data": {"values": [{}]},
        "mark": {"type": "rule", "color": ZERO_COLOR},
        "encoding": {channel: {"datum": 0}, other: None},
    }


def _color() -> dict[str, Any]:
    return {"field": "color", "type": "nominal", "scale": None}


def _tooltip() -> dict[str, str]:
    return {"expr": "datum.tooltip"}

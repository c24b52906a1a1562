"""All methods in one order over all tasks and seeds, and how sure it is. Exploratory.

A pipeline is a task with a seed. In each the methods are ranked by gold reward on test prompts, which
is the same order as by any gain over SFT, so that tasks need no common scale. What is ranked is
the mean over pipelines, every task counted alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy import ndarray

from bench.report.across import improvement, normalized_gain, normalized_gains
from bench.report.display import MISSING, number, percent
from bench.results.loading import Results
from bench.analysis.selection import gold_by_seed, selected_rows
from bench.analysis.statistics import RESAMPLES, Interval


class Ranked(NamedTuple):
    """A method's place. best: share of bootstrap draws with the lowest mean rank, ties shared.

    mean_rank: 1 is best; its interval and best are nan where a task has one seed. by_task: mean
    rank on each task.
    """

    method: str
    mean_rank: Interval
    best: float
    by_task: dict[str, float]


def contenders(results: Results) -> list[str]:
    """Return who is ranked: the methods without privilege that were run on every task."""
    run_on = results.runs.groupby("method")["task"].nunique()
    return [
        method
        for method in results.methods
        if method not in results.privileged and run_on[method] == len(results.tasks)
    ]


def seed_ranks(results: Results) -> dict[str, pd.DataFrame]:
    """Return for each task the ranks of the contenders, 1 is best: rows seeds, columns methods.

    Selected settings on test prompts. Equals share the mean of their ranks; who has no figure in a
    pipeline, since its run failed, comes last there.
    """
    methods, ranks = contenders(results), {}
    for task in results.tasks:
        own = results.runs[results.runs["task"] == task]
        gold = gold_by_seed(selected_rows(results.runs, task))
        gold = gold.reindex(index=sorted(own["seed"].unique()), columns=methods)
        ranks[task] = gold.dropna(how="all").rank(axis=1, ascending=False, na_option="bottom")
    return {task: own for task, own in ranks.items() if not own.empty}


def mean_ranks(
    ranks: Mapping[str, pd.DataFrame], level: float = 0.95, resamples: int = RESAMPLES
) -> list[Ranked]:
    """Return the methods by mean rank, best first, with percentile intervals.

    Seeds are drawn anew within each task, the same ones for all methods, which share their pipelines.
    """
    tables = [own.to_numpy() for own in ranks.values()]
    if not tables:
        return []
    methods = list(next(iter(ranks.values())).columns)
    found = np.mean([table.mean(axis=0) for table in tables], axis=0)
    low = high = best = np.full(len(methods), math.nan)
    if min(len(table) for table in tables) > 1:
        drawn = _drawn(tables, resamples)
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
        # Sums of the same ranks in another order differ by rounding; they must count as equal.
        first = np.isclose(drawn, drawn.min(axis=1, keepdims=True))
        best = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)
    pipelines = sum(len(table) for table in tables)
    order = np.argsort(found, kind="stable")
    return [
        Ranked(
            methods[i],
            Interval(float(found[i]), float(low[i]), float(high[i]), pipelines),
            float(best[i]),
            {task: float(own[methods[i]].mean()) for task, own in ranks.items()},
        )
        for i in order
    ]


def _drawn(tables: Sequence[ndarray], resamples: int) -> ndarray:
    """Return mean ranks [resamples, methods]."""
    random = np.random.default_rng(0)
    drawn = []
    for table in tables:
        seeds = len(table)
        counts = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
        drawn.append(counts @ table / seeds)
    return np.asarray(np.mean(drawn, axis=0))


def ranking_table(results: Results) -> pd.DataFrame:
    """Return the methods in order, those that are not ranked last; empty with fewer than two."""
    ranked = mean_ranks(seed_ranks(results))
    if len(ranked) < 2:
        return pd.DataFrame()
    gains = normalized_gains(results)
    means = [own.mean_rank.mean for own in ranked]
    lines = [_line(results, own, means, gains) for own in ranked]
    others = [method for method in results.methods if method not in contenders(results)]
    empty = dict.fromkeys(lines[0], MISSING)
    lines += [
        empty | {"method": results.marked(method)} | _gains(results, gains, method)
        for method in others
    ]
    return pd.DataFrame(lines)


def _line(
    results: Results, own: Ranked, means: list[float], gains: Mapping[str, pd.DataFrame]
) -> dict[str, str]:
    per_task = own.by_task.items() if len(own.by_task) > 1 else []
    return {
        "rank": str(1 + sum(mean < own.mean_rank.mean - 1e-9 for mean in means)),
        "method": results.marked(own.method),
        "mean rank": _with_interval(own.mean_rank),
        "probability of being best": percent(own.best),
        **{f"mean rank on {task}": number(rank, 1) for task, rank in per_task},
        **_gains(results, gains, own.method),
    }


def _with_interval(own: Interval) -> str:
    if not math.isfinite(own.half_width):
        return number(own.mean, 1)
    return f"{number(own.mean, 1)} [{number(own.low, 1)}, {number(own.high, 1)}]"


def _gains(results: Results, gains: Mapping[str, pd.DataFrame], method: str) -> dict[str, str]:
    own = results.runs[results.runs["method"] == method]
    of = own.drop_duplicates(["task", "seed"])
    finished = sum(int(selected_rows(own, task)["reward"].notna().sum()) for task in results.tasks)
    return {
        "normalized gain (IQM)": normalized_gain(gains, method),
        "probability of improvement over SFT": improvement(gains, method, "sft"),
        "pipelines": f"{finished}/{len(of)}",
    }

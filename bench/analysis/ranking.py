"""All methods in one order over all tasks and seeds, and how sure it is: exploratory.

In each pipeline (a task at a seed) the methods are ranked by reward on test prompts. That is the
order by any gain over SFT as well, so tasks need no common scale. The methods are ordered by the
mean rank over pipelines, every task counted alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy import ndarray

from bench.analysis.selection import reward_by_seed, selected_rows
from bench.analysis.statistics import RESAMPLES, Interval
from bench.results.loading import Results


class Ranked(NamedTuple):
    """A method's place.

    Attributes:
        method: The method's name.
        mean_rank: Mean over pipelines, 1 is best; its interval is nan where a task has one seed.
        best: Share of bootstrap draws with the lowest mean rank, ties shared; nan as above.
        by_task: Mean rank on each task.
    """

    method: str
    mean_rank: Interval
    best: float
    by_task: dict[str, float]


def contenders(results: Results) -> list[str]:
    """Return the methods that are ranked: without privilege and run on every task."""
    tasks_run = results.runs.groupby("method")["task"].nunique()
    return [
        method
        for method in results.methods
        if method not in results.privileged and tasks_run[method] == len(results.tasks)
    ]


def seed_ranks(results: Results) -> dict[str, pd.DataFrame]:
    """Return the ranks of the contenders on each task, 1 is best.

    Selected settings on test prompts. Ties share the mean of their ranks; a method whose run
    failed in a pipeline comes last there.

    Returns:
        For each task a row for each seed and a column for each method.
    """
    methods, ranks = contenders(results), {}
    for task in results.tasks:
        seeds = sorted(results.runs.loc[results.runs["task"] == task, "seed"].unique())
        rewards = reward_by_seed(selected_rows(results.runs, task))
        rewards = rewards.reindex(index=seeds, columns=methods)
        ranks[task] = rewards.dropna(how="all").rank(axis=1, ascending=False, na_option="bottom")
    return {task: table for task, table in ranks.items() if not table.empty}


def mean_ranks(
    ranks: Mapping[str, pd.DataFrame], level: float = 0.95, resamples: int = RESAMPLES
) -> list[Ranked]:
    """Return the methods by mean rank, best first, with percentile intervals.

    The seeds of each task are resampled, the same for all methods, which share their pipelines.

    Args:
        ranks: As `seed_ranks` returns them.
        level: Of the intervals.
        resamples: How many bootstrap draws.
    """
    tables = [table.to_numpy() for table in ranks.values()]
    if not tables:
        return []
    methods = list(next(iter(ranks.values())).columns)
    means = np.mean([table.mean(axis=0) for table in tables], axis=0)
    low = high = best = np.full(len(methods), math.nan)
    if min(len(table) for table in tables) > 1:
        drawn = _bootstrap_means(tables, resamples)
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
        # Sums of the same ranks in another order differ by rounding; they must count as equal.
        first = np.isclose(drawn, drawn.min(axis=1, keepdims=True))
        best = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)
    pipelines = sum(len(table) for table in tables)
    order = np.argsort(means, kind="stable")
    return [
        Ranked(
            methods[i],
            Interval(float(means[i]), float(low[i]), float(high[i]), pipelines),
            float(best[i]),
            {task: float(table[methods[i]].mean()) for task, table in ranks.items()},
        )
        for i in order
    ]


def places(ranked: Sequence[Ranked]) -> list[int]:
    """Return the place of each method, 1 is best; equal mean ranks share a place."""
    means = [method.mean_rank.mean for method in ranked]
    return [1 + sum(other < mean - 1e-9 for other in means) for mean in means]


def finished_pipelines(results: Results, method: str) -> tuple[int, int]:
    """Return in how many pipelines a method's selected setting finished, and how many it has."""
    runs = results.runs[results.runs["method"] == method]
    finished = sum(int(selected_rows(runs, task)["reward"].notna().sum()) for task in results.tasks)
    return finished, len(runs.drop_duplicates(["task", "seed"]))


def _bootstrap_means(tables: Sequence[ndarray], resamples: int) -> ndarray:
    """Return mean ranks [resamples, methods]."""
    random = np.random.default_rng(0)
    drawn = []
    for table in tables:
        seeds = len(table)
        counts = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
        drawn.append(counts @ table / seeds)
    return np.asarray(np.mean(drawn, axis=0))

"""All methods over all tasks and seeds: their order, and their gains on one scale.

A summary, never a verdict. In each pipeline (a task at a seed) the methods are ranked by reward on
test prompts. That is the order by any gain over SFT as well, so tasks need no common scale. The
methods are ordered by the mean rank over pipelines, every task counted alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy import ndarray

from bench.analysis.selection import reward_by_seed, seeds_lost, selected_rewards, selected_rows
from bench.analysis.statistics import (
    RESAMPLES,
    Interval,
    iqm,
    probability_of_improvement,
    stratified_bootstrap,
)
from bench.results.loading import Results

Gains = Mapping[str, pd.DataFrame]
UNKNOWN = Interval(float("nan"), float("nan"), float("nan"), 0)


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
    """Return the methods that are ranked: without privilege, and every seed of every task finished.

    A seed that no method finished does not count.
    """
    lost = [seeds_lost(results.runs, task) for task in results.tasks]
    return [
        method
        for method in results.methods
        if method not in results.privileged and all(seeds.get(method) == 0 for seeds in lost)
    ]


def seed_ranks(results: Results) -> dict[str, pd.DataFrame]:
    """Return the ranks of the contenders on each task, 1 is best.

    Selected settings on test prompts. Ties share the mean of their ranks.

    Returns:
        For each task a row for each seed and a column for each method.
    """
    methods, ranks = contenders(results), {}
    for task in results.tasks:
        rewards = reward_by_seed(selected_rows(results.runs, task))
        ranks[task] = rewards.reindex(columns=methods).rank(axis=1, ascending=False)
    return {task: table for task, table in ranks.items() if not table.empty}


def prompt_rewards(results: Results, ranks: Mapping[str, pd.DataFrame]) -> dict[str, ndarray]:
    """Return the rewards of each task whose seeds share a sample of prompts.

    Args:
        results: A run's results.
        ranks: As `seed_ranks` returns them for these results.

    Returns:
        [seeds, methods, prompts], in the order of a task's ranks.
    """
    rewards = {}
    for task, table in ranks.items():
        by_prompt = selected_rewards(results, task).by_prompt or {}
        if set(table.columns) <= by_prompt.keys():
            prompts = by_prompt[table.columns[0]].columns
            tables = [by_prompt[m].reindex(table.index, columns=prompts) for m in table.columns]
            rewards[task] = np.stack([t.to_numpy() for t in tables], axis=1)
    return rewards


def mean_ranks(
    ranks: Mapping[str, pd.DataFrame],
    rewards: Mapping[str, ndarray] | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> list[Ranked]:
    """Return the methods by mean rank, best first, with percentile intervals.

    The seeds of each task are resampled, the same for all methods, which share their pipelines.
    So are prompts that all seeds share, independently of the seeds (Owen, 2007).

    Args:
        ranks: As `seed_ranks` returns them.
        rewards: As `prompt_rewards` returns them.
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
        by_prompt = [(rewards or {}).get(task) for task in ranks]
        drawn = _bootstrap_means(tables, by_prompt, resamples)
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


def _bootstrap_means(
    tables: Sequence[ndarray], rewards: Sequence[ndarray | None], resamples: int
) -> ndarray:
    """Return mean ranks [resamples, methods]."""
    random = np.random.default_rng(0)
    drawn = []
    for table, by_prompt in zip(tables, rewards, strict=True):
        seeds = len(table)
        counts = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
        if by_prompt is None:
            drawn.append(counts @ table / seeds)
        else:
            ranks = _resampled_ranks(by_prompt, random, resamples)
            drawn.append(np.einsum("rs,rsm->rm", counts, ranks) / seeds)
    return np.asarray(np.mean(drawn, axis=0))


def _resampled_ranks(rewards: ndarray, random: np.random.Generator, resamples: int) -> ndarray:
    """Return ranks by the rewards on resampled prompts, [resamples, seeds, methods]."""
    from scipy.stats import rankdata

    prompts = rewards.shape[-1]
    counts = random.multinomial(prompts, np.full(prompts, 1 / prompts), size=resamples)
    means = np.einsum("smp,rp->rsm", rewards, counts, optimize=True)
    # Equal rewards must stay equal when the same numbers are added in another order.
    return np.asarray(rankdata(-np.round(means, 9), axis=-1))


def normalized_gains(results: Results) -> dict[str, pd.DataFrame]:
    """Return the gain over SFT as a share of the largest gain on the optimal frontier, by task.

    Selected settings on test prompts. The largest gain is that of the seed's own frontier, from
    its start to its end.

    Returns:
        For each task that has a frontier, a row for each seed and a column for each method.
    """
    gains = {}
    for task in results.tasks:
        rewards = reward_by_seed(selected_rows(results.runs, task))
        frontier = results.frontier[results.frontier["task"] == task]
        frontier = frontier.dropna(subset=["kl", "reward"]).sort_values("kl")
        ends = frontier.groupby("seed")["reward"].agg(["first", "last"])
        largest = (ends["last"] - ends["first"]).reindex(rewards.index)
        if "sft" in rewards.columns:
            shares = rewards.sub(rewards["sft"], axis=0).div(largest.where(largest > 0), axis=0)
            gains[task] = shares.dropna(how="all")
    return {task: shares for task, shares in gains.items() if not shares.empty}


def normalized_gain(gains: Gains, method: str) -> Interval:
    """Return the interquartile mean of a method's normalized gains (Agarwal et al., 2021).

    Args:
        gains: As `normalized_gains` returns them.
        method: The method's name.

    Returns:
        With a bootstrap interval over the seeds within each task, which is nan where a task has
        one seed. All is nan unless every task has a run of the method.
    """
    values = [_column(shares, method).dropna().to_numpy() for shares in gains.values()]
    return _with_interval(iqm, values)


def improvement(gains: Gains, method: str, other: str) -> Interval:
    """Return how often a seed of the first method beats one of the second, mean over tasks.

    The two methods' seeds are drawn together, since they share their pipelines.

    Args:
        gains: As `normalized_gains` returns them.
        method: The first method's name.
        other: The second method's name.

    Returns:
        As `normalized_gain` does.
    """
    pairs = [
        pd.concat([_column(shares, method), _column(shares, other)], axis=1).dropna().to_numpy()
        for shares in gains.values()
    ]
    return _with_interval(
        lambda tasks: probability_of_improvement(
            [task[:, 0] for task in tasks], [task[:, 1] for task in tasks]
        ),
        pairs,
    )


def _column(gains: pd.DataFrame, method: str) -> pd.Series:
    return gains[method] if method in gains.columns else pd.Series(np.nan, index=gains.index)


def _with_interval(
    statistic: Callable[[Sequence[ndarray]], float], values: Sequence[ndarray]
) -> Interval:
    if not values or not all(len(task) for task in values):
        return UNKNOWN
    if min(len(task) for task in values) < 2:
        return Interval(statistic(values), float("nan"), float("nan"), sum(map(len, values)))
    return stratified_bootstrap(statistic, values)

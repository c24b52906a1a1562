"""Gains of several tasks on one scale: a summary over tasks, never a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy import ndarray

from bench.analysis.selection import reward_by_seed, selected_rows
from bench.analysis.statistics import (
    Interval,
    iqm,
    probability_of_improvement,
    stratified_bootstrap,
)
from bench.results.loading import Results

Gains = Mapping[str, pd.DataFrame]
UNKNOWN = Interval(float("nan"), float("nan"), float("nan"), 0)


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
    scores = [_column(shares, method).dropna().to_numpy() for shares in gains.values()]
    return _with_interval(iqm, scores)


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
    statistic: Callable[[Sequence[ndarray]], float], scores: Sequence[ndarray]
) -> Interval:
    if not scores or not all(len(task) for task in scores):
        return UNKNOWN
    if min(len(task) for task in scores) < 2:
        return Interval(statistic(scores), float("nan"), float("nan"), sum(map(len, scores)))
    return stratified_bootstrap(statistic, scores)

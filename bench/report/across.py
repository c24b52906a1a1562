"""Several tasks together: gains on one scale. A summary, never a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy import ndarray

from bench.report.contrasts import declared
from bench.report.display import MISSING, number, percent
from bench.results.loading import Results
from bench.analysis.selection import selected_rows
from bench.analysis.statistics import Interval, iqm, probability_of_improvement, stratified_bootstrap

Gains = Mapping[str, pd.DataFrame]


def normalized_gains(results: Results) -> dict[str, pd.DataFrame]:
    """Return for each task the gold gain over SFT as a share of the frontier's largest gain.

    Rows are seeds, columns methods; selected settings on test prompts. The largest gain is that of
    the seed's own curve in frontier.csv, from its start to its end.
    """
    found = {}
    for task in results.tasks:
        rows = selected_rows(results.runs, task)
        gold = rows.pivot_table(index="seed", columns="method", values="reward")
        frontier = results.frontier[results.frontier["task"] == task].dropna(subset=["kl", "reward"])
        ends = frontier.sort_values("kl").groupby("seed")["reward"].agg(["first", "last"])
        largest = (ends["last"] - ends["first"]).reindex(gold.index)
        if "sft" in gold.columns:
            gains = gold.sub(gold["sft"], axis=0).div(largest.where(largest > 0), axis=0)
            found[task] = gains.dropna(how="all")
    return {task: gains for task, gains in found.items() if not gains.empty}


def across_contrasts(results: Results) -> pd.DataFrame:
    """Return the probability of improvement of the declared contrasts over all tasks."""
    gains = normalized_gains(results)
    if len(gains) < 2:
        return pd.DataFrame()
    return pd.DataFrame(
        [
            {
                "contrast": f"{method} vs {other}",
                "probability of improvement": improvement(gains, method, other),
            }
            for method, other in declared(results)
        ]
    )


def _column(gains: pd.DataFrame, method: str) -> pd.Series:
    return gains[method] if method in gains.columns else pd.Series(np.nan, index=gains.index)


def normalized_gain(gains: Gains, method: str) -> str:
    """Return the interquartile mean of a method's normalized gains; a dash for SFT."""
    if method == "sft":
        return MISSING
    scores = [_column(own, method).dropna().to_numpy() for own in gains.values()]
    return _with_interval(iqm, scores, number)


def improvement(gains: Gains, method: str, other: str) -> str:
    """Return the probability of improvement; a dash of a method over itself.

    The two methods' seeds are drawn together: they share their pipelines.
    """
    if method == other:
        return MISSING
    pairs = [
        pd.concat([_column(own, method), _column(own, other)], axis=1).dropna().to_numpy()
        for own in gains.values()
    ]
    return _with_interval(
        lambda tasks: probability_of_improvement(
            [task[:, 0] for task in tasks], [task[:, 1] for task in tasks]
        ),
        pairs,
        percent,
    )


def _with_interval(
    figure: Callable[[Sequence[ndarray]], float],
    scores: Sequence[ndarray],
    show: Callable[[float], str],
) -> str:
    """Return the figure with its bootstrap interval; a dash unless every task has a run."""
    if not scores or not all(len(task) for task in scores):
        return MISSING
    if min(len(task) for task in scores) < 2:
        return show(figure(scores))
    found: Interval = stratified_bootstrap(figure, scores)
    return f"{show(found.mean)} [{show(found.low)}, {show(found.high)}]"

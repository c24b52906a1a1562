"""What training used, and how many labels a learned reward saved."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from bench.analysis.selection import RUN_KEY, ok_rows, selected_rows
from bench.results.loading import Results, method_order
from bench.results.metrics import shown_in

TOKENS_PER_SECOND = "tokens_per_second"


class RewardQueries(NamedTuple):
    """How often a learned reward answered in training, and from how many labels it was learned.

    Means over seeds.

    Attributes:
        calls: Over all settings of a seed, which share one reward model.
        labels: Labels that the annotator gave.
    """

    calls: float
    labels: float

    @property
    def saved(self) -> float:
        """Labels saved; below 0 where asking the annotator each time would have been cheaper."""
        return self.calls - self.labels


def selected_usage(results: Results, task: str) -> pd.DataFrame:
    """Return the usage of the selected settings, medians over seeds.

    With medians, a machine that was busy for a while does not count.

    Returns:
        A row for each method, a column for each metric of usage and TOKENS_PER_SECOND.
    """
    names = [metric.name for metric in shown_in("usage")]
    rows = selected_rows(results.runs, task)
    medians = rows.groupby("method", sort=False)[names].median()
    medians = medians.reindex(method_order(rows))
    trained = (medians["train_tokens"] > 0) & (medians["train_seconds"] > 0)
    speed = (medians["train_tokens"] / medians["train_seconds"]).where(trained, math.nan)
    return medians.assign(**{TOKENS_PER_SECOND: speed})


def reward_queries(results: Results, task: str) -> dict[str, RewardQueries]:
    """Return the reward queries of each method that learned from a reward model."""
    rows = ok_rows(results.runs)
    rows = rows[(rows["task"] == task) & ~rows["method"].isin(results.privileged)]
    runs = rows.drop_duplicates(RUN_KEY)
    queries = {}
    for method in method_order(runs):
        by_seed = runs[runs["method"] == method].groupby("seed")
        calls, labels = by_seed["reward_calls"].sum(), by_seed["labels"].max()
        queries[method] = RewardQueries(float(calls.mean()), float(labels.mean()))
    return {method: answers for method, answers in queries.items() if answers.calls > 0}

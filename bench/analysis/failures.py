"""Runs that failed or diverged: for which reasons, how many of each method, on which seeds."""

from __future__ import annotations

import re
from typing import NamedTuple

import pandas as pd

from bench.analysis.selection import RUN_KEY, selected_rows
from bench.results.loading import method_order

# Messages that differ in numbers alone, such as a step or a number of bytes, give one reason.
NUMBER = re.compile(r"-?\d[\d.,]*(e[+-]?\d+)?")


class Failure(NamedTuple):
    """Runs that did not finish for the same reason.

    Attributes:
        status: failed or diverged.
        error: The reason, as the first of the runs states it.
        runs: How many runs of each method.
    """

    status: str
    error: str
    runs: dict[str, int]


def failures(runs: pd.DataFrame, task: str) -> list[Failure]:
    """Return why runs of a task did not finish, the reason with the most runs first."""
    lost = runs[(runs["task"] == task) & (runs["status"] != "ok")].drop_duplicates(RUN_KEY)
    reasons = lost["error"].map(lambda error: NUMBER.sub("#", error))
    groups = [rows for _, rows in lost.groupby([lost["status"], reasons], sort=False)]
    groups.sort(key=len, reverse=True)
    return [
        Failure(
            str(rows["status"].iloc[0]),
            str(rows["error"].iloc[0]),
            {method: int((rows["method"] == method).sum()) for method in method_order(rows)},
        )
        for rows in groups
    ]


def started_runs(runs: pd.DataFrame, task: str) -> dict[str, int]:
    """Return how many runs of each method there are on a task."""
    started = runs[runs["task"] == task].drop_duplicates(RUN_KEY)
    return {str(method): int(n) for method, n in started["method"].value_counts().items()}


def missing_seeds(runs: pd.DataFrame, task: str) -> dict[str, list[int]]:
    """Return the seeds that a method lost at its selected setting and that others finished.

    Methods that lost none, or finished none, are left out.
    """
    finished = selected_rows(runs, task).dropna(subset="reward")
    every = set(finished["seed"])
    missing = {
        method: sorted(
            int(s) for s in every - set(finished.loc[finished["method"] == method, "seed"])
        )
        for method in method_order(finished)
    }
    return {method: seeds for method, seeds in missing.items() if seeds}

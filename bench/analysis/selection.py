"""Which setting of each method is compared (chosen on validation prompts), and paired gains."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import pandas as pd

from bench.results.loading import method_order
from bench.analysis.statistics import (
    Interval,
    paired_interval,
    probability_of_improvement,
    sign_flip_p,
)

RUN_KEY = ["task", "method", "params", "seed"]


class Contrast(NamedTuple):
    """How much more gold reward one method has than another, seed by seed, on test prompts.

    differences: one for each seed that both finished; difference: their mean and t-interval; p:
    of the sign-flip test, not corrected; improvement: probability of improvement.
    """

    differences: list[float]
    difference: Interval
    p: float
    improvement: float


def ok_rows(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the runs that came through on every split."""
    ok = runs["status"] == "ok"
    if ok.all():
        return runs
    return runs[ok.groupby([runs[key] for key in RUN_KEY]).transform("all").astype(bool)]


def select_settings(runs: pd.DataFrame, task: str) -> dict[str, str]:
    """Return each method's params with the highest mean validation gold reward.

    One choice for all seeds. Params with fewer finished seeds than others of the same method are
    out: a setting must not win by losing its bad seeds. A method with no finished run is absent.
    """
    rows = ok_rows(runs[runs["task"] == task])
    rows = rows[rows["split"] == "validation"]
    rows = rows[rows["reward"].notna()]
    chosen = {}
    for method in method_order(rows):
        gold = rows[rows["method"] == method].groupby("params", sort=False)["reward"]
        counts = gold.count()
        chosen[method] = str(gold.mean()[counts == counts.max()].idxmax())
    return chosen


def of_selected(frame: pd.DataFrame, runs: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return the task's rows of the selected settings, of any table with a run's identity."""
    own = frame[frame["task"] == task]
    return own[own["params"] == own["method"].map(select_settings(runs, task))]


def selected_rows(runs: pd.DataFrame, task: str, split: str = "test") -> pd.DataFrame:
    """Return the finished rows of the selected settings."""
    rows = ok_rows(runs[runs["task"] == task])
    return of_selected(rows[rows["split"] == split], rows, task)


def ranking(runs: pd.DataFrame, task: str, privileged: Collection[str] = ()) -> list[str]:
    """Return the methods without privilege, best first, by validation gold reward."""
    gold = selected_rows(runs, task, "validation").groupby("method")["reward"].mean()
    methods = [method for method in select_settings(runs, task) if method not in privileged]
    return sorted(methods, key=lambda method: -gold[method])


def gold_by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return gold reward, a row for each seed and a column for each method."""
    return rows.pivot_table(index="seed", columns="method", values="reward")


def contrast(rows: pd.DataFrame, method: str, other: str) -> Contrast:
    """Compare two methods over the seeds that both finished. rows: from `selected_rows`."""
    return contrast_of(gold_by_seed(rows), method, other)


def contrast_of(gold: pd.DataFrame, method: str, other: str) -> Contrast:
    """Compare two methods over the seeds that both finished. gold: from `gold_by_seed`."""
    pairs = gold.reindex(columns=[method, other]).dropna()
    ours, theirs = pairs.to_numpy().T
    differences = list(ours - theirs)
    improvement = probability_of_improvement([ours], [theirs]) if differences else float("nan")
    interval = paired_interval(ours.tolist(), theirs.tolist())
    return Contrast(differences, interval, sign_flip_p(differences), improvement)

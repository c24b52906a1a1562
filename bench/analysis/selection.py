"""Which setting of each method is compared: chosen on validation prompts, measured on test ones."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from bench.results.loading import method_order

RUN_KEY = ["task", "method", "params", "seed"]


def ok_rows(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the runs that finished on every split."""
    ok = runs["status"] == "ok"
    if ok.all():
        return runs
    return runs[ok.groupby([runs[key] for key in RUN_KEY]).transform("all").astype(bool)]


def select_settings(runs: pd.DataFrame, task: str) -> dict[str, str]:
    """Return the params of each method that have the highest mean reward on validation prompts.

    One choice serves all seeds. Params with fewer finished seeds than others of the same method
    are out: a setting must not win by losing its bad seeds. A method without a finished run is
    absent.
    """
    rows = ok_rows(runs[runs["task"] == task])
    rows = rows[rows["split"] == "validation"]
    rows = rows[rows["reward"].notna()]
    selected = {}
    for method in method_order(rows):
        rewards = rows[rows["method"] == method].groupby("params", sort=False)["reward"]
        counts = rewards.count()
        selected[method] = str(rewards.mean()[counts == counts.max()].idxmax())
    return selected


def of_selected(frame: pd.DataFrame, runs: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return a task's rows of the selected settings.

    Args:
        frame: Any table with the columns task, method and params.
        runs: RUNS, by which settings are selected.
        task: The task's name.
    """
    rows = frame[frame["task"] == task]
    return rows[rows["params"] == rows["method"].map(select_settings(runs, task))]


def selected_rows(runs: pd.DataFrame, task: str, split: str = "test") -> pd.DataFrame:
    """Return the finished rows of the selected settings on a split."""
    rows = ok_rows(runs[runs["task"] == task])
    return of_selected(rows[rows["split"] == split], rows, task)


def order_by_validation(
    runs: pd.DataFrame, task: str, privileged: Collection[str] = ()
) -> list[str]:
    """Return the methods without privilege by reward on validation prompts, best first."""
    means = selected_rows(runs, task, "validation").groupby("method")["reward"].mean()
    methods = [method for method in select_settings(runs, task) if method not in privileged]
    return sorted(methods, key=lambda method: -means[method])


def reward_by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rewards with a row for each seed and a column for each method."""
    return rows.pivot_table(index="seed", columns="method", values="reward")


def seed_counts(runs: pd.DataFrame, task: str, method: str, params: str | None) -> tuple[int, int]:
    """Return how many seeds of a setting finished, and how many there are.

    Args:
        runs: RUNS.
        task: The task's name.
        method: The method's name.
        params: The setting; None stands for all of a method without a finished run.
    """
    rows = runs[(runs["task"] == task) & (runs["method"] == method)]
    if params is None:
        return 0, int(rows["seed"].nunique())
    rows = rows[rows["params"] == params]
    return int(ok_rows(rows)["seed"].nunique()), int(rows["seed"].nunique())

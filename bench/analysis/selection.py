"""Which setting of each method is compared: chosen on validation prompts, measured on test ones."""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import pandas as pd

from bench.results.loading import Results, method_order
from bench.results.remembered import remembered

RUN_KEY = ["task", "method", "params", "seed"]


class Edge(NamedTuple):
    """A value of a selected setting beyond which nothing was tried.

    Attributes:
        method: The method's name.
        field: The hyper-parameter.
        value: Its selected value.
        side: Which of the values tried it is.
    """

    method: str
    field: str
    value: float
    side: Literal["smallest", "largest"]


class SelectedRewards(NamedTuple):
    """Rewards of the selected settings on a task's test prompts.

    Attributes:
        by_seed: A row for each seed and a column for each method.
        by_prompt: For each method, a row for each seed and a column for each prompt; None where the
            prompts are not a sample, so that a result need not hold for others.
    """

    by_seed: pd.DataFrame
    by_prompt: dict[str, pd.DataFrame] | None


def ok_rows(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the runs that finished on every split."""
    ok = runs["status"] == "ok"
    if ok.all():
        return runs
    return runs[ok.groupby([runs[key] for key in RUN_KEY]).transform("all").astype(bool)]


@remembered
def select_settings(runs: pd.DataFrame, task: str) -> dict[str, str]:
    """Return the params of each method that have the highest mean reward on validation prompts.

    One choice serves all seeds. Params with fewer finished seeds than others of the same method
    are out: a setting must not win by losing its bad seeds. The others are compared on the seeds
    that all of them finished. A method without a finished run is absent.
    """
    rows = ok_rows(runs[runs["task"] == task])
    rows = rows[rows["split"] == "validation"]
    rows = rows[rows["reward"].notna()]
    selected = {}
    for method in method_order(rows):
        own = rows[rows["method"] == method]
        counts = own.groupby("params", sort=False)["reward"].count()
        most = own[own["params"].isin(counts.index[counts == counts.max()])]
        shared = on_shared_seeds(most, "params")
        selected[method] = str(shared.groupby("params", sort=False)["reward"].mean().idxmax())
    return selected


def on_shared_seeds(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the rows of the seeds that every value of a column has; all rows if no seed is shared.

    Means over other seeds would compare seeds as well as what is to be compared.
    """
    having = rows.groupby("seed")[column].transform("nunique")
    shared = rows[having == rows[column].nunique()]
    return rows if shared.empty else shared


def of_selected(frame: pd.DataFrame, runs: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return a task's rows of the selected settings.

    Args:
        frame: Any table with the columns task, method and params.
        runs: RUNS, by which settings are selected.
        task: The task's name.
    """
    rows = frame[frame["task"] == task]
    return rows[rows["params"] == rows["method"].map(select_settings(runs, task))]


@remembered
def selected_rows(runs: pd.DataFrame, task: str, split: str = "test") -> pd.DataFrame:
    """Return the finished rows of the selected settings on a split."""
    rows = ok_rows(runs)
    return of_selected(rows[rows["split"] == split], runs, task)


def order_by_validation(
    runs: pd.DataFrame, task: str, privileged: Collection[str] = ()
) -> list[str]:
    """Return the methods without privilege by reward on validation prompts, best first.

    A method that lost more seeds than another comes after all that did not: it must not win by the
    seeds that it finished. The others are compared on the seeds that all of them finished.
    """
    methods = [method for method in select_settings(runs, task) if method not in privileged]
    late = lost_more_seeds(runs, task, privileged)
    rows = selected_rows(runs, task, "validation").dropna(subset="reward")
    first = on_shared_seeds(rows[~rows["method"].isin({*late, *privileged})], "method")
    means = rows.groupby("method")["reward"].mean()
    means.update(first.groupby("method")["reward"].mean())
    return sorted(methods, key=lambda method: (method in late, -means[method]))


def table_order(results: Results, task: str) -> list[str]:
    """Return a task's methods in the order of tables that have a row for each.

    SFT, to compare with; contenders by reward on validation prompts; privileged methods likewise;
    those without a finished run.
    """
    methods = results.methods_on(task)
    contenders = set(methods) - results.privileged - {"sft"}
    order = [
        method
        for group in ({"sft"}, contenders, results.privileged)
        for method in order_by_validation(results.runs, task, set(methods) - group)
    ]
    return [*order, *(method for method in methods if method not in order)]


@remembered
def seeds_lost(runs: pd.DataFrame, task: str) -> dict[str, int]:
    """Return how many seeds each method lost at its selected setting.

    A seed that no method finished at all is lost to none.
    """
    finished = selected_rows(runs, task).dropna(subset="reward")
    seeds = finished.groupby("method")["seed"].nunique()
    most = finished["seed"].nunique()
    return {
        method: most - int(seeds.get(method, 0))
        for method in method_order(runs[runs["task"] == task])
    }


def lost_more_seeds(
    runs: pd.DataFrame, task: str, privileged: Collection[str] = ()
) -> frozenset[str]:
    """Return the methods that lost more seeds than another; SFT, which trains nothing, aside."""
    lost = {m: n for m, n in seeds_lost(runs, task).items() if m not in {"sft", *privileged}}
    return frozenset(method for method, n in lost.items() if n > min(lost.values()))


def edges(runs: pd.DataFrame, task: str) -> list[Edge]:
    """Return the selected values that are the smallest or the largest of those tried.

    Settings that failed were tried. A hyper-parameter with one value, or whose values are no
    numbers, has no edge.
    """
    rows = runs[runs["task"] == task].drop_duplicates(["method", "params"])
    found = []
    for method, params in select_settings(runs, task).items():
        tried = [numbers_in(other) for other in rows.loc[rows["method"] == method, "params"]]
        for field, value in numbers_in(params).items():
            values = {setting[field] for setting in tried if field in setting}
            if len(values) > 1 and value == min(values):
                found.append(Edge(method, field, value, "smallest"))
            if len(values) > 1 and value == max(values):
                found.append(Edge(method, field, value, "largest"))
    return found


def numbers_in(text: str) -> dict[str, Any]:
    """Return the hyper-parameters in a JSON object whose values are numbers."""
    try:
        values = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(values, dict):
        return {}
    return {name: value for name, value in values.items() if type(value) in (int, float)}


@lru_cache(maxsize=16)
def selected_rewards(results: Results, task: str) -> SelectedRewards:
    """Return the rewards of the selected settings on a task's test prompts."""
    by_seed = reward_by_seed(selected_rows(results.runs, task))
    if not results.has_sampled_prompts(task):
        return SelectedRewards(by_seed, None)
    rows = of_selected(results.prompt_rewards, ok_rows(results.runs), task)
    by_prompt = {
        str(method): group.pivot(index="seed", columns="prompt", values="reward")
        for method, group in rows.groupby("method", sort=False)
    }
    return SelectedRewards(by_seed, by_prompt)


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

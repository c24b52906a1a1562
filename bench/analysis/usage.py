"""What training used, whether methods had alike, and how many labels a learned reward saved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import pandas as pd
import yaml

from bench.analysis.selection import (
    RUN_KEY,
    numbers_in,
    of_selected,
    ok_rows,
    select_settings,
    selected_rows,
    table_order,
)
from bench.results.loading import Results
from bench.results.metrics import shown_in

TOKENS_PER_SECOND = "tokens_per_second"
# The method that pays for each response when it answers, not in training.
BEST_OF_N = "best_of_n"
# Amounts that differ by less are alike: batches are whole.
ALIKE = 1.05


class Training(NamedTuple):
    """How much a method was trained.

    Attributes:
        amount: Of the unit, for each seed.
        unit: What is counted.
    """

    amount: float
    unit: Literal["episodes", "training examples"]


class Reaching(NamedTuple):
    """A setting that reaches a reward.

    Attributes:
        params: The setting, as JSON.
        kl: Mean over seeds (nats).
        seconds: Training time, median over seeds.
    """

    params: str
    kl: float
    seconds: float


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
    medians = medians.reindex([m for m in table_order(results, task) if m in medians.index])
    trained = (medians["train_tokens"] > 0) & (medians["train_seconds"] > 0)
    speed = (medians["train_tokens"] / medians["train_seconds"]).where(trained, math.nan)
    return medians.assign(**{TOKENS_PER_SECOND: speed})


def training_amounts(results: Results, task: str) -> dict[str, Training]:
    """Return how much training each method had at its selected setting, where that is known.

    Episodes are the responses that a method which learns from rewards sampled in training, the
    median over seeds. Training examples are the hyper-parameter `examples` of any other method, as
    far as the experiment's budget allows them, else the last step of its training curves.
    """
    sampled = selected_rows(results.runs, task).groupby("method")["responses_sampled"].median()
    last_steps = of_selected(results.curves, results.runs, task).groupby("method")["step"].max()
    kinds, fixed = (_described(results, task, column) for column in ("learns_from", "fixed"))
    amounts = {}
    for method, params in select_settings(results.runs, task).items():
        kind, responses = kinds.get(method) or results.learns_from(method), sampled.get(method, 0)
        if kind in ("reward", "gold") or (not kind and responses):
            amounts[method] = Training(float(responses), "episodes")
        elif method != "sft":
            settings = numbers_in(fixed.get(method, "")) | numbers_in(params)
            examples = settings.get("examples", last_steps.get(method, 0))
            capped = min(float(examples), _budget(results))
            amounts[method] = Training(capped, "training examples")
    return {method: training for method, training in amounts.items() if training.amount > 0}


def _described(results: Results, task: str, column: str) -> dict[str, str]:
    """Return a column of methods.csv, by method."""
    rows = results.method_settings[results.method_settings["task"] == task]
    return dict(zip(rows["method"], rows[column], strict=True))


def responses_per_answer(results: Results, task: str) -> dict[str, int]:
    """Return how many responses each selected setting samples for one answer.

    1, but for best-of-n, which samples n of them each time.
    """
    fixed = _described(results, task, "fixed")
    return {
        method: int((numbers_in(fixed.get(method, "")) | numbers_in(params)).get("n", 1))
        if method == BEST_OF_N
        else 1
        for method, params in select_settings(results.runs, task).items()
    }


def reward_model_seconds(results: Results, task: str) -> dict[str, float]:
    """Return the time to train the reward model, for each method that learns from it (s).

    All such methods of a seed share one; median over seeds.
    """
    stages = results.stages
    trained = stages[(stages["task"] == task) & (stages["stage"] == "reward_model")]
    if trained.empty:
        return {}
    duration = float(trained["seconds"].median())
    kinds = _described(results, task, "learns_from")
    methods = results.methods_on(task)
    return {m: duration for m in methods if (kinds.get(m) or results.learns_from(m)) == "reward"}


def setting_reaching(results: Results, task: str, method: str, reward: float) -> Reaching | None:
    """Return the setting of a method that reaches a reward at the smallest KL; None if none does.

    Args:
        results: The results.
        task: The task's name.
        method: The method's name.
        reward: On test prompts, mean over seeds.
    """
    rows = ok_rows(results.runs)
    rows = rows[(rows["task"] == task) & (rows["method"] == method) & (rows["split"] == "test")]
    settings = rows.groupby("params", sort=False)
    means = settings[["reward", "kl"]].mean().assign(seconds=settings["train_seconds"].median())
    complete = settings["seed"].nunique() == rows["seed"].nunique()
    # Means of the same numbers may differ by rounding.
    reaching = means[complete & (means["reward"] >= reward - 1e-9)].dropna(subset=["kl"])
    if reaching.empty:
        return None
    nearest = int(reaching["kl"].argmin())
    return Reaching(
        str(reaching.index[nearest]),
        float(reaching["kl"].iloc[nearest]),
        float(reaching["seconds"].iloc[nearest]),
    )


def alike(amounts: Mapping[str, float]) -> list[list[str]]:
    """Return the methods in groups that had about the same amount, those with the least first."""
    groups: list[list[str]] = []
    for method in sorted(amounts, key=lambda method: amounts[method]):
        if groups and amounts[method] < ALIKE * amounts[groups[-1][0]]:
            groups[-1].append(method)
        else:
            groups.append([method])
    return groups


def _budget(results: Results) -> float:
    """Return the most training examples or episodes that the experiment allows a run."""
    try:
        return float((yaml.safe_load(results.experiment) or {}).get("budget", math.inf))
    except (yaml.YAMLError, AttributeError, TypeError, ValueError):
        return math.inf


def reward_queries(results: Results, task: str) -> dict[str, RewardQueries]:
    """Return the reward queries of each method that learned from a reward model."""
    rows = ok_rows(results.runs)
    rows = rows[(rows["task"] == task) & ~rows["method"].isin(results.privileged)]
    runs = rows.drop_duplicates(RUN_KEY)
    queries = {}
    order = [method for method in table_order(results, task) if method in set(runs["method"])]
    for method in order:
        by_seed = runs[runs["method"] == method].groupby("seed")
        calls, labels = by_seed["reward_calls"].sum(), by_seed["labels"].max()
        queries[method] = RewardQueries(float(calls.mean()), float(labels.mean()))
    return {method: answers for method, answers in queries.items() if answers.calls > 0}

"""What a method is worth over all its settings: within a KL budget, after few tries, in all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from bench.analysis.selection import ok_rows
from bench.analysis.statistics import area_share, best_of_k, collapses, reward_within
from bench.results.loading import method_order

# KL budgets, in nats.
BUDGETS = (1.0, 2.0, 4.0)


class Effort(NamedTuple):
    """What the settings of a method are worth together, means over seeds.

    Attributes:
        method: The method's name.
        area: Area under the method's frontier, as a share of the area under the optimal one.
        within: Reward within each KL budget of BUDGETS; nan where no setting is within it.
        best_of: Reward to expect after trying 1, 2, ... settings.
        collapsed: Runs that failed or ended below the SFT policy; None where that is not known.
        runs: Runs that were started.
    """

    method: str
    area: float
    within: dict[float, float]
    best_of: list[float]
    collapsed: int | None
    runs: int


def efforts(runs: pd.DataFrame, frontier: pd.DataFrame, task: str) -> list[Effort]:
    """Return what the settings of each method but SFT are worth on a task.

    Args:
        runs: RUNS.
        frontier: FRONTIER.
        task: The task's name.
    """
    runs, optimal = runs[runs["task"] == task], frontier[frontier["task"] == task]
    return [_effort(runs, optimal, method) for method in method_order(runs) if method != "sft"]


def settings_tried(runs: pd.DataFrame, task: str) -> dict[str, int]:
    """Return how many settings of each method were tried on a task."""
    settings = runs[runs["task"] == task].drop_duplicates(["method", "params"])
    return {
        str(method): int(n) for method, n in settings["method"].value_counts(sort=False).items()
    }


def setting_means(runs: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return means over seeds of each setting of a method on a task.

    A setting that lost a seed is left out where another did not, as it is in selection.

    Args:
        runs: RUNS of one task.
        method: The method's name.

    Returns:
        A row for each setting: `kl` and `test`, KL and reward on test prompts, and `validation`,
        reward on validation prompts.
    """
    rows = ok_rows(runs)
    rows = rows[rows["method"] == method]
    seeds = rows.groupby("params")["seed"].transform("nunique")
    rows = rows[seeds == seeds.max()]
    means = rows.groupby(["params", "split"])[["kl", "reward"]].mean().unstack("split")
    empty = pd.Series(dtype=float)
    return pd.DataFrame(
        {
            "kl": means.get(("kl", "test"), empty),
            "test": means.get(("reward", "test"), empty),
            "validation": means.get(("reward", "validation"), empty),
        }
    ).dropna(subset=["test", "validation"])


def best_of_k_gains(runs: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return the gain over SFT on test prompts to expect after trying k settings.

    `best_of_k` selects by means over seeds on validation prompts, once for all seeds, so the mean
    over seeds is `Effort.best_of` less SFT's reward. Seeds that lack a run are left out.

    Args:
        runs: RUNS of one task.
        method: The method's name.

    Returns:
        A row for each k = 1, 2, ... and a column for each seed.
    """
    rows = ok_rows(runs)
    test = rows[rows["split"] == "test"]
    sft_rewards = test[test["method"] == "sft"].set_index("seed")["reward"]
    validation = setting_means(runs, method)["validation"]
    rewards = test[test["method"] == method].pivot_table(
        index="params", columns="seed", values="reward"
    )
    gains = rewards.reindex(validation.index).sub(sft_rewards, axis="columns")
    gains = gains.dropna(axis="columns")
    curves = {seed: best_of_k(validation.tolist(), gains[seed].tolist()) for seed in gains.columns}
    return pd.DataFrame(curves, index=range(1, len(validation) + 1))


def _effort(runs: pd.DataFrame, optimal: pd.DataFrame, method: str) -> Effort:
    means = setting_means(runs, method)
    kl, validation, test = (means[name].tolist() for name in ("kl", "validation", "test"))
    started = (runs["method"] == method) & (runs["split"] == "test")
    return Effort(
        method,
        _area(runs, optimal, method),
        # A KL that is not known is within no budget.
        {budget: reward_within(kl, validation, test, budget) for budget in BUDGETS},
        best_of_k(validation, test),
        _collapsed(runs, method),
        int(started.sum()),
    )


def _area(runs: pd.DataFrame, optimal: pd.DataFrame, method: str) -> float:
    """Return the mean share over seeds, or nan unless every seed has one."""
    rows = ok_rows(runs)
    rows = rows[(rows["method"] == method) & (rows["split"] == "test")].dropna(subset=["kl"])
    points: dict[int, list[tuple[float, float]]] = {}
    for seed, kl, reward in zip(rows["seed"], rows["kl"], rows["reward"], strict=True):
        points.setdefault(seed, []).append((kl, reward))
    return float(area_shares(points, optimal).mean(skipna=False))


def area_shares(
    points: Mapping[int, Sequence[tuple[float, float]]], optimal: pd.DataFrame
) -> pd.Series:
    """Return the area under a method's frontier as a share of the optimal one's, by seed.

    Args:
        points: KL and reward of each setting, by seed.
        optimal: A task's rows of FRONTIER.

    Returns:
        nan for a seed without points.
    """
    shares = {}
    for seed in sorted(optimal["seed"].unique()):
        line = optimal[optimal["seed"] == seed].sort_values("kl")
        along = list(zip(line["kl"], line["reward"], strict=True))
        own = points.get(seed)
        shares[seed] = area_share(own, along, along[0][1]) if own else math.nan
    return pd.Series(shares, dtype=float)


def _collapsed(runs: pd.DataFrame, method: str) -> int | None:
    """Count the runs that failed or ended below the SFT policy of their seed."""
    test = runs[runs["split"] == "test"]
    sft_rewards = test[test["method"] == "sft"].set_index("seed")["reward"]
    if sft_rewards.empty:
        return None
    rows = test[test["method"] == method]
    gains = rows["reward"].where(rows["status"] == "ok") - rows["seed"].map(sft_rewards)
    return collapses(gains.tolist())

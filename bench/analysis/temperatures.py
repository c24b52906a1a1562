"""Rewards at sampling temperatures other than the one that policies are compared at."""

from __future__ import annotations

import math
from typing import NamedTuple

import yaml

from bench.analysis.averages import complete_mean
from bench.analysis.selection import of_selected, order_by_validation, selected_rows
from bench.results.loading import Results


class WithoutTraining(NamedTuple):
    """An SFT policy that has more reward at another temperature than any trained policy.

    Attributes:
        temperature: At which the SFT policy is sampled.
        sft: Its reward there.
        compared_at: The temperature that policies are compared at.
        best: The contender with the most reward at that temperature.
        reward: Its reward.
        best_reward_there: Its reward at the other temperature; nan where that is not known.
    """

    temperature: float
    sft: float
    compared_at: float
    best: str
    reward: float
    best_reward_there: float


def better_without_training(results: Results, task: str) -> WithoutTraining | None:
    """Return where the SFT policy alone beats all contenders; None if nowhere.

    Contenders are the methods without privilege, at their selected settings and on test prompts.
    """
    order = order_by_validation(results.runs, task, results.privileged)
    rows = selected_rows(results.runs, task)
    rewards = rows[rows["method"].isin(order)].groupby("method")["reward"].mean()
    others = of_selected(results.temperatures, results.runs, task)
    others = others[others["method"].isin(order) & (others["temperature"] != compared_at(results))]
    there = others.groupby(["temperature", "method"])["reward"].agg(complete_mean).unstack()
    if rewards.empty or "sft" not in there or there["sft"].dropna().empty:
        return None
    of_sft = there["sft"].dropna()
    temperature, sft = float(of_sft.index[int(of_sft.argmax())]), float(of_sft.max())
    rewards_there, best = there.loc[temperature], str(rewards.idxmax())
    if not sft > rewards[best]:
        return None
    return WithoutTraining(
        temperature,
        sft,
        compared_at(results),
        best,
        float(rewards[best]),
        float(str(rewards_there.get(best, math.nan))),
    )


def compared_at(results: Results) -> float:
    """Return the temperature that policies are compared at."""
    try:
        return float(yaml.safe_load(results.experiment)["evaluation"]["temperature"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError):
        return 1.0

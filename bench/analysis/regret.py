"""Regret against the best objective at a KL strength, and what it is made of."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from bench.analysis.selection import of_selected, table_order
from bench.results.loading import Results

PARTS = ("optimization_error", "reward_model_error", "interaction")


class StrengthRegret(NamedTuple):
    """The regret of a method at a KL strength, means over seeds.

    Attributes:
        method: The method's name.
        strength: The KL strength.
        share: Share of the optimum, (J - J of SFT) / (best J - J of SFT).
        worst_share: The same of the worst seed.
        regret: Best J less the policy's.
        parts: Mean of each of PARTS.
        seeds: How many there are.
    """

    method: str
    strength: float
    share: float
    worst_share: float
    regret: float
    parts: dict[str, float]
    seeds: int


def selected_regrets(results: Results, task: str) -> pd.DataFrame:
    """Return the mean parts of the selected settings' regret, a row for each method."""
    rows = of_selected(results.regret, results.runs, task).dropna(subset=list(PARTS))
    means = rows.groupby("method", sort=False)[list(PARTS)].mean()
    return means.reindex([m for m in table_order(results, task) if m in means.index])


def regrets(results: Results, task: str, selected: bool = False) -> list[StrengthRegret]:
    """Return the regret of every method and KL strength of a task.

    Args:
        results: A run's results.
        task: The task's name.
        selected: Whether to leave out all settings but the selected ones.
    """
    known = results.regret[(results.regret["task"] == task) & results.regret["share"].notna()]
    known = of_selected(known, results.runs, task) if selected else known
    return [
        StrengthRegret(
            method,
            float(rows["strength"].iloc[0]),
            float(rows["share"].mean()),
            float(rows["share"].min()),
            float((rows["optimum"] - rows["objective"]).mean()),
            {part: float(rows[part].mean()) for part in PARTS},
            len(rows),
        )
        for method in table_order(results, task)
        for _, rows in known[known["method"] == method].groupby("strength")
    ]

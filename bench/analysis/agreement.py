"""How often a judge agrees with people on held-out preferences."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from bench.results.loading import Results


class Agreement(NamedTuple):
    """Agreement of a judge with people, means over seeds.

    Attributes:
        share: Share of the preferences on which they agree.
        low: Lower end of its 95% interval.
        high: Upper end of it.
        preferences: On how many preferences.
    """

    share: float
    low: float
    high: float
    preferences: float


def stage_agreement(results: Results, task: str, stage: str) -> Agreement:
    """Return how often the reward of a stage, judge or reward_model, agrees with people."""
    stages = results.stages
    rows = stages[(stages["task"] == task) & (stages["stage"] == stage)]
    names = ("reward_accuracy", "accuracy_low", "accuracy_high", "pairs")
    return Agreement(*(float(rows[name].mean()) for name in names))


def language_model_agreement(row: pd.Series) -> Agreement:
    """Return how often a language model agrees with people, with a Wilson interval.

    Args:
        row: A row of LLM_JUDGE that compares the responses that people chose and rejected.
    """
    from scipy.stats import binomtest

    comparisons = int(row["wins"] + row["ties"] + row["losses"])
    share = float(row["win_rate"])
    if not comparisons:
        return Agreement(math.nan, math.nan, math.nan, 0)
    test = binomtest(round(share * comparisons), comparisons).proportion_ci(method="wilson")
    return Agreement(share, float(test.low), float(test.high), comparisons)

"""How often judges, reward models and policies agree with held-out preferences."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from bench.analysis.selection import ok_rows
from bench.analysis.statistics import mean_interval
from bench.results.loading import Results

# Feedback of methods that learn from labels without a reward model.
DIRECT = ("pairs", "unpaired")
# The smallest lead in accuracy that is worth a warning.
SMALLEST_LEAD = 0.02


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


class SharedErrors(NamedTuple):
    """What the errors of judge and reward model have in common, means over seeds.

    Attributes:
        judge_wrong: Share of held-out pairs on which the judge is wrong.
        reward_model_wrong: Share on which the reward model is wrong.
        both_wrong: Share on which both are.
        errors: Correlation of their errors (phi) with its 95% interval over prompts.
        margins: Correlation of their margins, likewise.
        pairs: Number of held-out pairs.
    """

    judge_wrong: float
    reward_model_wrong: float
    both_wrong: float
    errors: tuple[float, float, float]
    margins: tuple[float, float, float]
    pairs: float

    @property
    def wrong_with_judge(self) -> float:
        """How often the reward model is wrong where the judge is; nan if the judge never is."""
        return self.both_wrong / self.judge_wrong if self.judge_wrong else math.nan


def shared_errors(results: Results, task: str) -> SharedErrors | None:
    """Return what the errors of a task's judge and reward model share; None if not known."""
    stages = results.stages
    rows = stages[(stages["task"] == task) & (stages["stage"] == "agreement")]
    rows = rows.dropna(subset="both_wrong")
    if rows.empty:
        return None
    means = rows.drop(columns=["task", "stage"]).mean()

    def with_interval(name: str) -> tuple[float, float, float]:
        return float(means[name]), float(means[f"{name}_low"]), float(means[f"{name}_high"])

    return SharedErrors(
        1 - stage_agreement(results, task, "judge").share,
        1 - stage_agreement(results, task, "reward_model").share,
        float(means["both_wrong"]),
        with_interval("error_correlation"),
        with_interval("margin_correlation"),
        float(means["pairs"]),
    )


class WeakerReward(NamedTuple):
    """A reward model that tells chosen from rejected responses worse than a policy does.

    Attributes:
        label_accuracy: How often it agrees with the annotator on held-out pairs; mean over seeds.
        method: Of the policy, which learned from the same labels without it.
        params: Its setting.
        implicit_accuracy: How often the policy agrees with the annotator on these pairs.
    """

    label_accuracy: float
    method: str
    params: str
    implicit_accuracy: float


def weaker_reward(results: Results, task: str) -> WeakerReward | None:
    """Return whether a policy learned more from the labels than the reward model did.

    Then the reward model was trained too little, or is too small, and holds back what learns from
    it. None if it is not known, or if the difference is small or may be chance.
    """
    stages = results.stages
    rows = stages[(stages["task"] == task) & (stages["stage"] == "reward_model")]
    of_reward = rows.set_index("seed")["label_accuracy"].dropna()
    direct = [m for m in results.methods_on(task) if results.learns_from(m) in DIRECT]
    runs = ok_rows(results.runs)
    runs = runs[(runs["task"] == task) & (runs["split"] == "test") & runs["method"].isin(direct)]
    means = runs.groupby(["method", "params"])["implicit_accuracy"].mean().dropna().reset_index()
    if means.empty:
        return None
    best = means.iloc[int(means["implicit_accuracy"].argmax())]
    of_best = runs[(runs["method"] == best["method"]) & (runs["params"] == best["params"])]
    lead = (of_best.set_index("seed")["implicit_accuracy"] - of_reward).dropna()
    if lead.empty or lead.mean() < SMALLEST_LEAD or not mean_interval(lead.tolist()).low > 0:
        return None
    return WeakerReward(
        float(of_reward.mean()),
        str(best["method"]),
        str(best["params"]),
        float(best["implicit_accuracy"]),
    )


def language_model_agreement(row: pd.Series) -> Agreement:
    """Return how often a language model agrees with people, with a Wilson interval.

    Args:
        row: A row of LLM_JUDGE that compares the responses that people chose and rejected.
    """
    comparisons = int(row["wins"] + row["ties"] + row["losses"])
    if not comparisons:
        return Agreement(math.nan, math.nan, math.nan, 0)
    share = float(row["win_rate"])
    return Agreement(share, *wilson_interval(share, comparisons), comparisons)


def wilson_interval(share: float, count: int, level: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a share (Wilson, 1927).

    Args:
        share: Of the successes. A tie may count as half a success: it varies less than a whole
            one, so the interval is on the safe side.
        count: Number of trials.
        level: Of the interval.
    """
    from scipy.stats import norm

    z = float(norm.ppf((1 + level) / 2))
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    spread = (share * (1 - share) / count + z**2 / (4 * count**2)) ** 0.5
    half = z * spread / (1 + z**2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)

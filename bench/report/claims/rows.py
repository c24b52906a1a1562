"""The tables of tested claims as files: a row for each contrast, and for each of its conditions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from bench.analysis.claims.results import ClaimResult
from bench.analysis.statistics import Interval, mean_interval

CLAIM_COLUMNS = [
    *("claim", "title", "paper", "place", "verdict", "contrast", "quantity", "predicted"),
    *("mean", "low", "high", "bound", "difference_p", "equivalence_p", "not_lower_p"),
    *("not_higher_p", "lower_p", "higher_p", "level", "finding", "outcome", "seeds"),
    *("looks", "seconds"),
]
CONDITION_COLUMNS = [
    *("claim", "contrast", "task", "level", "weight", "mean", "low", "high", "seeds"),
]


class Condition(NamedTuple):
    """A contrast's difference in one of its tasks.

    Attributes:
        task: The task.
        level: Its level of the condition; nan where there is none.
        weight: Its factor in the contrast.
        interval: The mean difference over seeds, with its 95% interval.
    """

    task: str
    level: float
    weight: float
    interval: Interval


def claim_rows(claims: Sequence[ClaimResult]) -> pd.DataFrame:
    """Return a row for each contrast of each claim.

    Args:
        claims: Tested claims with their verdicts.

    Returns:
        mean, low, high: The contrast's number with its 95% t-interval, not corrected. The p values
        are over all looks, not corrected; `level` is what they are compared with.
    """
    rows = []
    for result in claims:
        tested = result.tested
        about = [tested.name, tested.claim.title, tested.claim.paper, tested.claim.place]
        looks = " ".join(map(str, tested.looks))
        for contrast, decision in zip(tested.claim.contrasts, result.decisions, strict=True):
            of = decision.evidence
            rows.append(
                [
                    *(*about, result.verdict, contrast.name, contrast.quantity),
                    *(contrast.predicted, *of.mean[:3], contrast.bound, of.difference_p),
                    *(of.equivalence_p, of.not_lower_p, of.not_higher_p, of.lower_p, of.higher_p),
                    *(decision.level, decision.finding, decision.outcome, len(of.values)),
                    *(looks, tested.seconds),
                ]
            )
    return pd.DataFrame(rows, columns=CLAIM_COLUMNS)


def condition_rows(claims: Sequence[ClaimResult]) -> pd.DataFrame:
    """Return a row for each task of each contrast: the difference there, with its interval."""
    rows = [
        [result.tested.name, contrast.name, *condition[:3], *condition.interval]
        for result in claims
        for contrast, frame in zip(
            result.tested.claim.contrasts, result.tested.conditions, strict=True
        )
        for condition in conditions_of(frame)
    ]
    return pd.DataFrame(rows, columns=CONDITION_COLUMNS)


def conditions_of(frame: pd.DataFrame) -> list[Condition]:
    """Return a contrast's difference in each of its tasks.

    Args:
        frame: From `bench.analysis.claims.values.by_condition`.
    """
    frame = frame.astype({"level": float})
    return [
        Condition(
            str(task),
            float(own["level"].iloc[0]),
            float(own["weight"].iloc[0]),
            mean_interval(own["value"].tolist()),
        )
        for task, own in frame.groupby("task", sort=False)
    ]

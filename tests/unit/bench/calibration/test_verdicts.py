"""Verdicts on known numbers, and how often they are right."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.analysis.statistics import verdict
from bench.calibration.design import ITSELF
from bench.calibration.summary import summarize
from bench.calibration.verdicts import (
    CALIBRATION_COLUMNS,
    DIFFERENCE_COLUMNS,
    PAIR_COLUMNS,
    judge,
    pairs,
    power,
)

STEADY = [1.0, 1.1, 1.2, 0.9, 1.3, 0.8]
MIXED = [1.0, -1.1, 1.2, -0.9, 0.3, -0.2]


def by_scipy(differences: np.ndarray) -> np.ndarray:
    """Return 1, -1 or 0 for each row of six: all signs agree, and scipy's t-test rejects too."""
    p = stats.ttest_1samp(differences, 0, axis=1).pvalue
    agree = np.abs(np.sign(differences).sum(1)) == differences.shape[1]
    return np.where(agree & (p < 0.05), np.sign(differences[:, 0]), 0)


@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_verdicts_on_simulated_numbers_are_scipys(effect: float) -> None:
    data = np.random.default_rng(1).normal(effect, 1, size=(400, 6))
    found = [{"better": 1, "worse": -1, "none": 0}[verdict(list(row))] for row in data]
    assert found == by_scipy(data).tolist()


def test_false_verdicts_are_as_rare_as_the_signs_of_a_coin() -> None:
    data = np.random.default_rng(2).normal(size=(100_000, 6))
    # All six signs agree in 2 of 64 patterns; the interval can only take verdicts away.
    rate = float(np.mean(by_scipy(data) != 0))
    assert 0.02 < rate < 2 / 64 + 0.002
    # One side of it, by the function that draws the figure's curve.
    assert power(0.0) == pytest.approx(rate / 2, abs=3 * (0.016 / 500) ** 0.5)


@pytest.mark.parametrize("effect", [0.5, 1.0, 2.0])
def test_power_lies_within_the_closed_forms(effect: float) -> None:
    signs = stats.norm.cdf(effect) ** 6
    t = stats.nct.sf(stats.t.ppf(0.975, 5), 5, effect * 6**0.5)
    noise = 3 * (0.25 / 500) ** 0.5
    # Both must agree: no more than the smaller, no less than what they cannot help but share.
    assert signs + t - 1 - noise <= power(effect) <= min(signs, t) + noise


def test_too_few_instances_give_no_verdict() -> None:
    assert verdict([1.0, 1.1, 1.2, 0.9, 1.3]) == "too few seeds"


def frame(**by_pair: list[tuple[str, list[float]]]) -> pd.DataFrame:
    """Return differences as a design gives them: for each pair, (kind, six numbers) by group."""
    rows = [
        [kind, name, number, group, value]
        for number, (name, groups) in enumerate(by_pair.items())
        for group, (kind, values) in enumerate(groups)
        for value in values
    ]
    return pd.DataFrame(rows, columns=DIFFERENCE_COLUMNS)


def test_right_missing_and_wrong_verdicts_are_counted() -> None:
    negative = [-value for value in STEADY]
    known, lost = "known order", [*STEADY[:5], float("nan")]
    differences = frame(
        same=[(ITSELF, MIXED), (ITSELF, STEADY), (ITSELF, MIXED)],
        # Better on the whole: right twice, wrong once, nothing to say once, one instance lost.
        known=[(known, [9 * x for x in STEADY])] * 2
        + [(known, negative), (known, MIXED), (known, lost)],
        unknown=[("crippled", STEADY), ("crippled", negative)],
    )
    judged = judge(differences)
    assert list(judged.columns) == CALIBRATION_COLUMNS
    assert judged[judged["pair"] == "known"]["verdict"].tolist() == [
        *("better", "better", "worse", "none", "too few seeds")
    ]
    assert judged.groupby("pair")["truth"].first().to_dict() == {
        **{"known": "better", "same": "equal", "unknown": "unknown"}
    }
    found = pairs(differences, judged)
    assert list(found.columns) == PAIR_COLUMNS
    row = found[found["pair"] == "known"].iloc[0]
    data = differences[differences["pair"] == "known"]["difference"].dropna()
    assert row["effect"] == pytest.approx(data.mean() / data.std())
    assert row["low"] == pytest.approx(stats.ttest_1samp(data, 0).confidence_interval().low)
    summary = summarize(found, instances=30)
    assert summary["false_verdicts"]["count"] == 1
    assert summary["kinds"] == {
        "itself": {"comparisons": 3, "right": 0, "none": 2, "wrong": 1},
        "known order": {"comparisons": 5, "right": 2, "none": 2, "wrong": 1},
        "crippled": {"comparisons": 0, "right": 0, "none": 0, "wrong": 0},
    }
    assert summary["unknown"] == {"pairs": 1, "comparisons": 2}


def test_intervals_hold_the_truth_as_often_as_they_claim() -> None:
    random = np.random.default_rng(4)
    differences = frame(
        same=[(ITSELF, random.normal(size=6).tolist()) for _ in range(300)],
        known=[("known order", random.normal(1, 1, size=6).tolist()) for _ in range(300)],
    )
    coverage = summarize(pairs(differences, judge(differences)), instances=1800)["coverage"]
    assert coverage["of"] == 600
    assert 0.93 < coverage["count"] / coverage["of"] < 0.98

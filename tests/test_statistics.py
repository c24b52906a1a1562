"""Intervals and tests against scipy and values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bench.statistics import mean_interval, paired_interval, sign_flip_p


def test_the_interval_is_scipys() -> None:
    values = [1.0, 2.5, 2.0, 4.0, 3.5]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    interval = mean_interval(values, level=0.9)
    assert interval.mean == pytest.approx(2.6)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert interval.n == 5


def test_few_values_have_no_interval() -> None:
    assert mean_interval([3.0]).mean == 3.0
    assert math.isnan(mean_interval([3.0]).half_width)
    assert math.isnan(mean_interval([]).mean)


def test_the_paired_interval_is_scipys() -> None:
    a, b = [3.0, 5.0, 4.0, 6.0], [2.0, 4.5, 2.0, 5.0]
    expected = stats.ttest_rel(a, b).confidence_interval()
    interval = paired_interval(a, b)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_pairs_must_match() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired_interval([1.0, 2.0], [1.0])


def test_the_interval_covers_what_it_claims() -> None:
    random = np.random.default_rng(1)
    intervals = [mean_interval(random.normal(size=5).tolist()) for _ in range(1000)]
    covered = sum(interval.low < 0 < interval.high for interval in intervals)
    assert 0.93 < covered / 1000 < 0.97


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1.0] * 6, 2 / 64),
        ([1.0] * 5, 2 / 32),
        # |sum| >= 2 for all but the two patterns that sum to 0: (+1, +1, -2) and its mirror.
        ([1.0, 1.0, 2.0], 2 / 8),
        ([1.0, 1.0, -2.0], 1.0),
        ([0.0, 0.0], 1.0),
    ],
)
def test_sign_flips_by_hand(differences: list[float], p: float) -> None:
    assert sign_flip_p(differences) == pytest.approx(p)


def test_sign_flips_agree_with_scipy() -> None:
    data = np.random.default_rng(3).normal(0.4, 1, size=9)
    test = stats.permutation_test(
        (data,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=False
    )
    assert sign_flip_p(data.tolist()) == pytest.approx(test.pvalue)


def test_many_differences_are_drawn_from() -> None:
    exact = np.random.default_rng(5).normal(0.3, 1, size=16).tolist()
    drawn = [*exact, 1e-12]
    assert sign_flip_p(drawn) == pytest.approx(sign_flip_p(exact), abs=0.01)
    assert 0 < sign_flip_p([1.0] * 40) < 1e-4
    assert sign_flip_p(drawn) == sign_flip_p(drawn)


def test_a_method_against_itself_is_rarely_different() -> None:
    random = np.random.default_rng(2)
    ps = [sign_flip_p(random.normal(size=6).tolist()) for _ in range(500)]
    assert sum(p < 0.05 for p in ps) / 500 < 0.06

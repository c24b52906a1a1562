"""Errors that judge and reward model share: against counts, known correlations, and chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import pearsonr

from bench.pipeline.stages.agreement import correlation, shared_errors

NAMES = [f"prompt {i}" for i in range(600)]


def test_errors_are_counted() -> None:
    # Of ten pairs both are wrong on two, the first alone on one, the second alone on three.
    first = np.array([-1, -1, -1, 1, 1, 1, 1, 1, 1, 1.0])
    second = np.array([-1, -1, 1, -1, -1, -1, 1, 1, 1, 1.0])
    found = shared_errors(NAMES[:10], first, second)
    assert found.both_wrong == pytest.approx(0.2)
    # phi = (n11 n00 - n10 n01) / sqrt of the product of the four margins.
    assert found.error_correlation == pytest.approx((2 * 4 - 1 * 3) / math.sqrt(3 * 7 * 5 * 5))
    assert found.pairs == 10


def test_a_tie_is_half_wrong() -> None:
    found = shared_errors(NAMES[:4], np.array([0, 1, 1, 1.0]), np.array([0, 0, 1, 1.0]))
    assert found.both_wrong == pytest.approx(0.25 / 4)


def test_margins_correlate_by_what_they_share() -> None:
    random = np.random.default_rng(0)
    common, own, others = random.normal(size=(3, 600))
    first, second = 1 + common + own, 1 + common + others
    found = shared_errors(NAMES, first, second)
    assert found.margin_correlation == pytest.approx(pearsonr(first, second).statistic)
    assert found.margin_correlation_low < 0.5 < found.margin_correlation_high
    assert found.error_correlation_low > 0


def test_independent_errors_are_not_shown_to_be_shared() -> None:
    # Every margin of one reward with every margin of the other.
    one, other = 0.5 + np.random.default_rng(1).normal(size=(2, 30))
    first, second = np.repeat(one[:20], 30), np.tile(other, 20)
    found = shared_errors(NAMES, first, second)
    assert found.error_correlation_low < 0 < found.error_correlation_high
    assert found.margin_correlation_low < 0 < found.margin_correlation_high
    assert found.error_correlation == pytest.approx(0, abs=1e-9)
    assert found.both_wrong == pytest.approx((first < 0).mean() * (second < 0).mean())


def test_pairs_of_one_prompt_are_resampled_together() -> None:
    random = np.random.default_rng(2)
    first, second = np.repeat(random.normal(size=(2, 60)), 10, axis=1)
    repeated = [name for name in NAMES[:60] for _ in range(10)]
    alone, together = shared_errors(NAMES, first, second), shared_errors(repeated, first, second)
    widths = [f.margin_correlation_high - f.margin_correlation_low for f in (alone, together)]
    assert widths[1] > 2 * widths[0]


def test_a_reward_that_never_errs_has_no_errors_to_correlate() -> None:
    found = shared_errors(NAMES[:3], np.ones(3), np.array([1, -1, 1.0]))
    assert math.isnan(found.error_correlation) and math.isnan(found.error_correlation_low)
    assert found.both_wrong == 0 and math.isnan(correlation(np.ones(3), np.arange(3.0)))

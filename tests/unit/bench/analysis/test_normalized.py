"""Gains on one scale against shares worked out by hand."""

from __future__ import annotations

import pytest
from helpers.synthetic import small_results

from bench.analysis.normalized import improvement, normalized_gain, normalized_gains


def test_gains_are_shares_of_each_seeds_own_frontier() -> None:
    gains = normalized_gains(small_results())
    assert gains["a"]["dpo"].tolist() == pytest.approx([1 / 4, 3 / 6])
    assert gains["b"]["dpo"].tolist() == pytest.approx([0.5, 0.0])


def test_the_mean_is_that_of_the_middle_half_of_all_runs() -> None:
    gains = normalized_gains(small_results())
    # Of 0, 1/4, 1/2 and 1/2.
    assert normalized_gain(gains, "dpo").mean == pytest.approx((1 / 4 + 1 / 2) / 2)
    assert normalized_gain(gains, "dpo").n == 4


def test_improvement_is_a_mean_over_tasks() -> None:
    gains = normalized_gains(small_results())
    # 4 of 4 pairs of seeds on a, and on b 3 of 4 with ties half.
    assert improvement(gains, "dpo", "sft").mean == pytest.approx((1 + 3 / 4) / 2)

"""Tests of a difference and of its bounds, against scipy and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bench.analysis.statistics import (
    above_p,
    above_ps,
    difference_p,
    difference_ps,
    equivalence_p,
    equivalence_ps,
)


@pytest.mark.parametrize("n", [2, 6, 17])
def test_the_ps_are_scipys(n: int) -> None:
    values = np.random.default_rng(n).normal(0.3, 1, size=n).tolist()
    above = stats.ttest_1samp(values, 0.2, alternative="greater").pvalue
    below = stats.ttest_1samp(values, 0.5, alternative="less").pvalue
    lower = stats.ttest_1samp(values, -0.5, alternative="greater").pvalue
    assert difference_p(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert above_p(values, 0.2) == pytest.approx(above)
    assert equivalence_p(values, 0.5) == pytest.approx(max(below, lower))


def test_with_18_seeds_a_sign_flip_test_must_agree() -> None:
    # All patterns of signs but one have a lower sum.
    values = [5.0 + 0.01 * i for i in range(18)]
    assert stats.ttest_1samp(values, 0).pvalue < 1e-12
    assert difference_p(values[:17]) < 1e-12 < 1e-5 < difference_p(values) < 1e-4
    assert 1e-6 < above_p(values, 0.0) == equivalence_p(values, 10.5) < 1e-4
    skewed = 1 - np.random.default_rng(3).exponential(0.9, size=18)
    p = [
        stats.ttest_1samp(skewed, 0, alternative="greater").pvalue,
        stats.permutation_test(
            (skewed,),
            np.sum,
            permutation_type="samples",
            alternative="greater",
            n_resamples=np.inf,
        ).pvalue,
    ]
    assert above_p(skewed.tolist(), 0.0) == pytest.approx(max(p), rel=0.05)


@pytest.mark.parametrize("values", [[], [3.0]])
def test_one_value_tells_nothing(values: list[float]) -> None:
    assert difference_p(values) == above_p(values, 0.0) == equivalence_p(values, 9.0) == 1.0


def test_equal_values_are_known() -> None:
    assert difference_p([0.0] * 6) == 1.0
    # Their mean and their deviation are not exact in floating point.
    assert difference_p([0.1] * 6) == difference_p([-0.1] * 6) == 0.0
    assert (above_p([0.1] * 6, 0.1), above_p([0.1] * 6, 0.05)) == (1.0, 0.0)
    assert equivalence_p([0.0] * 6, 0.1) == equivalence_p([-0.1] * 6, 0.2) == 0.0
    assert equivalence_p([0.1] * 6, 0.1) == equivalence_p([-0.1] * 6, 0.1) == 1.0


def test_rows_are_tested_one_by_one() -> None:
    rows = np.random.default_rng(0).normal(size=(4, 6))
    rows[1] = 0.5
    assert difference_ps(rows) == pytest.approx([difference_p(row.tolist()) for row in rows])
    assert above_ps(rows, 0.1) == pytest.approx([above_p(row.tolist(), 0.1) for row in rows])
    assert equivalence_ps(rows, 1) == pytest.approx(
        [equivalence_p(row.tolist(), 1) for row in rows]
    )


@pytest.mark.parametrize("side", [-1, 1])
def test_means_at_a_bound_are_equivalent_in_5_of_100_cases(side: int) -> None:
    values = np.random.default_rng(1).normal(side * 1.5, 1, size=(40_000, 8))
    assert (equivalence_ps(values, 1.5) <= 0.05).mean() == pytest.approx(0.05, abs=0.0035)
    assert (equivalence_ps(values - side * 1.5, 1.5) <= 0.05).mean() > 0.8

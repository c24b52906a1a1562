"""Means over seeds that share prompts, against least squares, one-way tests and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.sampled_prompts import crossed_values
from numpy import ndarray
from scipy import stats

from bench.analysis.statistics import crossed_interval, crossed_mean, mean_interval


def residual_squares(values: ndarray, *factors: ndarray) -> float:
    """Return the sum of squares that least squares on these factors leaves."""
    columns = [np.ones((values.size, 1))]
    columns += [(factor.ravel()[:, None] == np.unique(factor)).astype(float) for factor in factors]
    design, data = np.hstack(columns), values.ravel()
    return float(((data - design @ np.linalg.lstsq(design, data, rcond=None)[0]) ** 2).sum())


def test_the_error_is_that_of_the_two_way_analysis_of_variance() -> None:
    values = crossed_values(0.3, 4, 9, 0.6)
    seeds, prompts = np.indices(values.shape)
    both = residual_squares(values, seeds, prompts)
    by_seed = (residual_squares(values, prompts) - both) / 3
    by_prompt = (residual_squares(values, seeds) - both) / 8
    rest = both / 24
    found = crossed_mean(values)
    variance = (by_seed + by_prompt - rest) / 36
    assert found.errors[2] ** 2 == pytest.approx(variance)
    assert found.from_seeds == pytest.approx((by_seed - rest) / 36)
    assert found.from_prompts == pytest.approx((by_prompt - rest) / 36)
    satterthwaite = (36 * variance) ** 2 / (by_seed**2 / 3 + by_prompt**2 / 8 + rest**2 / 24)
    assert found.freedom[2] == pytest.approx(satterthwaite)
    assert found.mean == pytest.approx(values.mean())


def test_the_variance_is_unbiased() -> None:
    random = np.random.default_rng(0)
    of_seeds = random.normal(0, 0.4, size=(4000, 6, 1))
    of_prompts = random.normal(0, 1.0, size=(4000, 1, 16))
    found = crossed_mean(of_seeds + of_prompts + random.normal(0, 0.5, size=(4000, 6, 16)))
    variance = 0.4**2 / 6 + 1.0 / 16 + 0.5**2 / 96
    assert float((found.errors[2] ** 2).mean()) == pytest.approx(variance, rel=0.03)
    assert float(found.mean.var()) == pytest.approx(variance, rel=0.07)
    assert float(found.from_prompts.mean()) == pytest.approx(1.0 / 16, rel=0.03)


def test_without_an_effect_of_prompts_it_is_the_t_test_over_seeds() -> None:
    by_seed = np.array([0.2, 0.5, -0.1, 0.4, 0.9, 0.3])
    values = np.repeat(by_seed[:, None], 10, axis=1)
    assert crossed_interval(values) == pytest.approx(mean_interval(by_seed.tolist()))
    assert crossed_mean(values).p() == pytest.approx(stats.ttest_1samp(by_seed, 0).pvalue)


@pytest.mark.parametrize("seeds", [1, 6])
def test_without_an_effect_of_seeds_it_is_the_t_test_over_prompts(seeds: int) -> None:
    by_prompt = np.random.default_rng(0).normal(0.2, 1, size=20)
    values = np.repeat(by_prompt[None], seeds, axis=0)
    test = stats.ttest_1samp(by_prompt, 0)
    found = crossed_interval(values)
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval()))
    assert crossed_mean(values).p() == pytest.approx(test.pvalue)
    assert found.n == seeds


def test_seeds_and_prompts_are_treated_alike() -> None:
    values = crossed_values(0.1, 5, 12, 0.3)
    assert crossed_mean(values.T).p() == pytest.approx(crossed_mean(values).p())
    assert crossed_mean(values.T).from_seeds == pytest.approx(crossed_mean(values).from_prompts)


def test_p_is_below_5_percent_where_the_interval_excludes_0() -> None:
    random = np.random.default_rng(0)
    values = random.normal(0, 0.2, size=(500, 6, 1)) + random.normal(0.15, 1, size=(500, 6, 30))
    found = crossed_mean(values)
    excluded = np.abs(found.mean) > found.half_width()
    assert 0.05 < excluded.mean() < 0.95
    assert ((found.p() < 0.05) == excluded).all()


@pytest.mark.parametrize("seeds", [2, 3, 6])
@pytest.mark.parametrize("seed_deviation", [0.02, 0.2, 1.0])
def test_intervals_hold_with_few_seeds(seeds: int, seed_deviation: float) -> None:
    random = np.random.default_rng(0)
    size = (4000, seeds, 24)
    values = random.normal(0, seed_deviation, size=(4000, seeds, 1)) + random.normal(0, 0.5, size)
    found = crossed_mean(values + random.normal(size=(4000, 1, 24)))
    assert (np.abs(found.mean) < found.half_width()).mean() > 0.95 - 3 * (0.05 / 4000) ** 0.5


def test_no_difference_at_all_has_a_p_of_1() -> None:
    assert crossed_mean(np.zeros((6, 8))).p() == 1.0
    assert crossed_interval(np.zeros((6, 8))) == (0.0, 0.0, 0.0, 6)


def test_one_value_and_none_have_no_interval() -> None:
    assert math.isnan(crossed_interval(np.ones((1, 1))).half_width)
    assert math.isnan(crossed_interval(np.empty((6, 0))).mean)

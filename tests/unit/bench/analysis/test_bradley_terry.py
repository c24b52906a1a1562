"""Strengths against closed forms, another fit and known strengths."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

from bench.analysis.statistics.bradley_terry import (
    fit_strengths,
    implied_rates,
    mean_rates,
    strength_intervals,
)


def crossed(
    strengths: np.ndarray, seeds: int, prompts: int, random: np.random.Generator
) -> np.ndarray:
    """Win rates around those that the strengths imply, with effects of seeds and of prompts."""
    k = len(strengths)
    noise = random.normal(0, 0.06, (k, seeds, 1)) + random.normal(0, 0.06, (k, 1, prompts))
    cells = implied_rates(strengths)[:, :, None, None] + noise[:, None] - noise[None]
    cells[range(k), range(k)] = np.nan
    return np.asarray(cells)


@pytest.mark.parametrize("rate", [0.5, 0.731, 0.02, 0.999])
def test_two_methods_differ_by_the_logit_of_the_win_rate(rate: float) -> None:
    rates = np.array([[np.nan, rate], [1 - rate, np.nan]])
    strengths = fit_strengths(rates)
    assert strengths[0] - strengths[1] == pytest.approx(logit(rate), abs=5e-3)
    assert strengths.sum() == pytest.approx(0, abs=1e-9)


def test_the_strengths_behind_win_rates_are_found() -> None:
    truth = np.array([1.5, 0.3, 0.0, -0.6, -1.2])
    rates = implied_rates(truth)
    np.fill_diagonal(rates, np.nan)
    assert fit_strengths(rates) == pytest.approx(truth, abs=1e-4)
    # A missing pair changes nothing where the others agree.
    rates[0, 4] = rates[4, 0] = np.nan
    assert fit_strengths(rates) == pytest.approx(truth, abs=1e-4)


def test_the_fit_is_the_maximum_of_the_likelihood() -> None:
    random = np.random.default_rng(0)
    upper = np.triu(random.uniform(0.1, 0.9, (4, 4)), 1)
    rates = upper + np.tril(1 - upper.T, -1)
    np.fill_diagonal(rates, np.nan)

    def loss(free: np.ndarray) -> float:
        s = np.append(free, 0.0)
        return -float(np.nansum(rates * log_expit(s[:, None] - s[None, :])))

    other = np.append(minimize(loss, np.zeros(3), tol=1e-12).x, 0.0)
    assert fit_strengths(rates) == pytest.approx(other - other.mean(), abs=1e-4)


def test_a_method_that_always_wins_has_a_finite_strength() -> None:
    rates = np.array([[np.nan, 1.0, 1.0], [0.0, np.nan, 0.6], [0.0, 0.4, np.nan]])
    strengths = fit_strengths(rates)
    assert np.isfinite(strengths).all() and strengths[0] - strengths[1] > 8
    assert expit(strengths[1] - strengths[2]) == pytest.approx(0.6, abs=1e-3)


def test_mean_rates_count_seeds_and_prompts_as_often_as_drawn() -> None:
    cells = np.full((2, 2, 2, 2), np.nan)
    cells[0, 1] = [[0.0, 0.5], [1.0, np.nan]]
    rates = mean_rates(cells, np.array([[1, 1], [2, 0]]), np.array([[1, 1], [1, 3]]))
    assert rates[:, 0, 1] == pytest.approx([0.5, (2 * 0.0 + 6 * 0.5) / 8])
    assert np.isnan(rates[:, 1, 0]).all()


def test_intervals_cover_the_strengths() -> None:
    truth = np.array([0.5, 0.3, -0.8])
    random = np.random.default_rng(1)
    held = np.zeros(3)
    for _ in range(120):
        intervals = strength_intervals(crossed(truth, 12, 20, random), resamples=200)
        held += [i.low <= true <= i.high for i, true in zip(intervals, truth, strict=True)]
    assert (held / 120 > 0.86).all()


def test_repeated_prompts_are_no_evidence_about_seeds() -> None:
    few = crossed(np.array([0.4, 0.0, -0.4]), 6, 10, np.random.default_rng(3))
    many = np.concatenate([few] * 20, axis=3)
    widths = [strength_intervals(cells)[0].half_width for cells in (few, many)]
    # 20 times the prompts would cut an interval to a fourth if cells were independent.
    assert widths[1] > 0.5 * widths[0]

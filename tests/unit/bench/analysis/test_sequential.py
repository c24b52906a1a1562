"""Tests repeated as seeds are added: against published bounds, quadrature and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtr

from bench.analysis.statistics import (
    chance_of_rejection,
    nominal_levels,
    one_sided_sequential_p,
    one_sided_sequential_ps,
    sequential_p,
    sequential_ps,
)

LOOKS = (0.5, 0.75, 1.0)


def spent(fraction: float, significance: float) -> float:
    return float(4 * stats.norm.sf(stats.norm.isf(significance / 4) / fraction**0.5))


def statistics(draws: int, effect: float = 0.0) -> np.ndarray:
    """Return simulated test statistics at three looks, [draws, 3]."""
    steps = np.random.default_rng(0).normal(size=(draws, 3)) * np.sqrt(np.diff([0, *LOOKS]))
    return np.asarray((steps.cumsum(1) + effect * np.array(LOOKS)) / np.sqrt(LOOKS))


def test_the_bounds_are_the_published_ones() -> None:
    levels = nominal_levels([0.2, 0.4, 0.6, 0.8, 1.0])
    bounds = stats.norm.isf(np.array(levels) / 2)
    assert bounds == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=2e-4)


@pytest.mark.parametrize("significance", [0.05, 0.00125, 0.4])
def test_the_first_two_looks_spend_what_they_may(significance: float) -> None:
    first, second, _ = nominal_levels(LOOKS, significance)
    assert first == pytest.approx(spent(0.5, significance))
    z = stats.norm.isf(np.array([first, second]) / 2)
    # Not rejected at the first look and rejected at the second, by another rule of integration.
    scores = np.linspace(-z[0] * 0.5**0.5, z[0] * 0.5**0.5, 20_001)
    density = stats.norm.pdf(scores, scale=0.5**0.5)
    end, deviation = z[1] * 0.75**0.5, 0.25**0.5
    beyond = ndtr((scores - end) / deviation) + ndtr((-scores - end) / deviation)
    crossed = np.trapezoid(density * beyond, scores)
    expected = spent(0.75, significance) - spent(0.5, significance)
    assert crossed == pytest.approx(expected, rel=1e-5)


def test_later_looks_leave_the_levels_of_earlier_ones() -> None:
    assert nominal_levels(LOOKS[:2]) == nominal_levels(LOOKS)[:2]
    assert nominal_levels([1.0], 0.03) == pytest.approx([0.03])


@pytest.mark.parametrize("fractions", [[], [0.0, 1.0], [0.5, 0.5], [0.75, 0.5], [0.5, 1.1]])
def test_fractions_must_ascend(fractions: list[float]) -> None:
    with pytest.raises(ValueError, match="do not ascend"):
        nominal_levels(fractions)


@pytest.mark.parametrize("significance", [0.2, 0.05, 0.001, 1e-6])
def test_a_p_at_a_looks_level_has_that_significance(significance: float) -> None:
    levels = nominal_levels(LOOKS, significance)
    for look, level in enumerate(levels):
        p_values = [1.0, 1.0, 1.0]
        p_values[look] = level
        assert sequential_p(p_values, LOOKS) == pytest.approx(significance, rel=1e-3)


def test_levels_rise_with_the_significance() -> None:
    for fractions in (LOOKS, (0.9, 0.99, 1.0), (0.1, 0.6)):
        levels = [nominal_levels(fractions, a) for a in np.geomspace(1e-6, 1, 40)]
        assert (np.diff(levels, axis=0) > 0).all()


def test_the_p_of_one_look_is_its_own() -> None:
    for p in (0.0, 1e-9, 0.03, 1.0):
        assert sequential_p([p], [1.0]) == pytest.approx(p)
        assert one_sided_sequential_p([p], [1.0]) == pytest.approx(p if p < 0.5 else 1.0)


def test_another_look_never_raises_the_p() -> None:
    assert sequential_p([0.001, 0.9], LOOKS[:2]) == sequential_p([0.001], LOOKS[:1])
    assert sequential_p([0.9, 0.001], LOOKS[:2]) < sequential_p([0.9, 0.01], LOOKS[:2])
    assert sequential_p([1.0, 1.0, 1.0], LOOKS) == 1.0
    with pytest.raises(ValueError, match="2 p values for 3 looks"):
        sequential_p([0.1, 0.1], LOOKS)


def test_rows_are_tested_one_by_one() -> None:
    p_values = np.random.default_rng(1).uniform(size=(5, 3)) ** 4
    expected = [sequential_p(row.tolist(), LOOKS) for row in p_values]
    assert sequential_ps(p_values, LOOKS) == pytest.approx(expected)


def test_the_error_over_all_looks_is_the_significance() -> None:
    draws = 200_000
    z = statistics(draws)
    two_sided = sequential_ps(2 * stats.norm.sf(np.abs(z)), LOOKS)
    one_sided = one_sided_sequential_ps(stats.norm.sf(z), LOOKS)
    for level in (0.2, 0.05, 0.00125):
        noise = 3 * (level * (1 - level) / draws) ** 0.5
        assert (two_sided <= level).mean() == pytest.approx(level, abs=noise)
        assert (one_sided <= level).mean() == pytest.approx(level, abs=noise)
    # Each look at 5% would be wrong nearly twice as often.
    assert (2 * stats.norm.sf(np.abs(z)) <= 0.05).any(1).mean() > 0.09


def test_looks_cost_little_power() -> None:
    found = sequential_ps(2 * stats.norm.sf(np.abs(statistics(50_000, effect=2.8))), LOOKS)
    # One look would find 80%.
    assert 0.77 < (found <= 0.05).mean() < 0.80


@pytest.mark.parametrize("mean", [0.3, 0.6, 1.0])
def test_the_chance_of_a_rejection_is_that_of_simulated_seeds(mean: float) -> None:
    # 12 seeds of known deviation 1 have this mean, and 6 more are drawn around it.
    p = 2 * stats.norm.sf(mean * 12**0.5)
    more = np.random.default_rng(0).normal(mean, size=(100_000, 6)).sum(1)
    z = (12 * mean + more) / 18**0.5
    simulated = (z > stats.norm.isf(0.001 / 2)).mean()
    assert chance_of_rejection(p, 12 / 18, 0.001) == pytest.approx(simulated, abs=0.005)


def test_at_the_last_look_a_rejection_is_certain_or_impossible() -> None:
    assert [chance_of_rejection(p, 1.0, 0.05) for p in (0.0, 0.05, 0.06)] == [1.0, 1.0, 0.0]
    assert chance_of_rejection(0.0, 0.5, 0.05) == 1.0

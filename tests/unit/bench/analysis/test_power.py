"""How many seeds a contrast needs: against power tables, and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from bench.analysis.statistics import SEEDS_FOR_VERDICT, seeds_needed, t_test_power


def with_effect(effect: float, n: int = 8) -> list[float]:
    """Return differences with this mean and a standard deviation of 1."""
    values = np.arange(n) - (n - 1) / 2
    return list(effect + values / values.std(ddof=1))


@pytest.mark.parametrize(("effect", "seeds"), [(0.5, 34), (0.8, 15), (1.0, 10), (1.2, 8)])
def test_the_number_is_that_of_the_power_tables(effect: float, seeds: int) -> None:
    # One-sample t-test, two-sided level 0.05, power 0.8 (Cohen, 1988; G*Power).
    assert seeds_needed(with_effect(effect), 1) == seeds
    assert seeds_needed(with_effect(-effect), 1) == seeds


@pytest.mark.parametrize("contrasts", [1, 3])
def test_the_power_is_that_of_simulated_tests(contrasts: int) -> None:
    n = seeds_needed(with_effect(1.0), contrasts)
    assert n is not None
    draws = np.random.default_rng(0).normal(1.0, 1.0, size=(50_000, n))
    for seeds in (n, n - 1):
        found = (ttest_1samp(draws[:, :seeds], 0, axis=1).pvalue < 0.05 / contrasts).mean()
        assert found == pytest.approx(t_test_power(1.0, 1.0, seeds, 0.05 / contrasts), abs=0.006)
        assert (found >= 0.8) == (seeds == n)


def test_no_number_is_below_what_a_verdict_needs() -> None:
    assert seeds_needed(with_effect(50.0), 1) == SEEDS_FOR_VERDICT
    assert seeds_needed([1.0, 1.0], 1) == SEEDS_FOR_VERDICT
    assert seeds_needed(with_effect(50.0), 3) == 7


def test_small_and_unknown_effects_have_no_number() -> None:
    assert seeds_needed(with_effect(0.2), 1) is None
    assert seeds_needed(with_effect(0.0), 1) is None
    assert seeds_needed([1.0], 1) is None and seeds_needed([], 1) is None
    assert seeds_needed([0.0, 0.0], 1) is None
    # More seeds cannot reduce what the prompts leave.
    assert seeds_needed(with_effect(1.0), 1, fixed=0.5) is None

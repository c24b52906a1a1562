"""Tests that are repeated as seeds are added: group-sequential levels by spending the error.

A test at 5% that is repeated at 12, 18 and 24 seeds is wrong more often than 5 times in 100. So
each look gets a level of its own. At the information fraction t (the share of the planned seeds), a
two-sided test at significance a may have spent

    4 - 4 Phi(z / sqrt(t)),  z = Phi^-1(1 - a / 4)

of its error, half in either tail: little at first and all of a at t = 1 (Lan & DeMets, 1983, of
the type of O'Brien & Fleming, 1979). With Z the test statistic at a look, the scores S = Z sqrt(t)
have independent normal increments of variance t - t'. The density of S where no earlier look
rejected follows by integrating over that of the look before (Armitage, McPherson & Rowe, 1969;
Jennison & Turnbull, Group Sequential Methods, 2000, chapter 19), and a look's bound is where what
lies beyond has the probability that may be spent. The levels are those of the bounds; a t-test
uses them for its p. Its statistics are less alike from look to look than normal ones, so where 5%
is spent the error is 5.2% with looks at 12, 18 and 24 seeds, and 5.4% with looks at 6, 9 and 12
(400,000 simulated contrasts each).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy import ndarray

from bench.analysis.statistics.verdicts import SIGNIFICANCE

# t statistics of few seeds are less alike from look to look than normal ones, which the levels are
# made for. With looks at 6, 9 and 12 seeds that adds up to 8% to the error (400,000 simulations).
MARGIN_OF_T_TESTS = 1.1
NODES = 64
# The density is 0 beyond so many standard deviations.
FARTHEST = 9.0
# Bisections of a bound: one in [0, 40] to the last digit of a double.
HALVINGS = 60
HIGHEST = 40.0
# Quantiles of a / 4, from a = 5e-12 to a = 1, between which `sequential_ps` interpolates.
QUANTILES = 600
LARGEST_QUANTILE = 7.0


def nominal_levels(fractions: Sequence[float], significance: float = SIGNIFICANCE) -> list[float]:
    """Return the two-sided level at which each look is tested.

    Args:
        fractions: Information fraction of each look, ascending, above 0 and at most 1. The last may
            be below 1: later looks do not change the levels of earlier ones.
        significance: Over all looks up to fraction 1.

    Raises:
        ValueError: The fractions are not as described.
    """
    from scipy.stats import norm

    bounds = _bounds(_checked(fractions), norm.isf(np.array([significance]) / 4))
    return [float(level) for level in 2 * norm.sf(bounds[0])]


def sequential_p(p_values: Sequence[float], fractions: Sequence[float]) -> float:
    """Return the p over all looks so far: the least significance at which one of them rejects.

    It is a p like any other: Holm's correction applies to it. With one look at fraction 1 it is the
    p of that look. It never rises with another look.

    Args:
        p_values: The two-sided p of each look.
        fractions: Their information fractions, as for `nominal_levels`.
    """
    return float(sequential_ps(np.asarray(p_values, dtype=float), fractions))


def one_sided_sequential_p(p_values: Sequence[float], fractions: Sequence[float]) -> float:
    """Return the p over all looks so far of one-sided tests, or of equivalence tests.

    A one-sided test at significance a is one tail of the two-sided test at 2a: it rejects at a look
    where its p is at most half of that test's level. So this is half of the `sequential_p` of twice
    the p values, and 1 where that is 1.

    Args:
        p_values: The one-sided p of each look; of an equivalence test the larger of its two.
        fractions: Their information fractions, as for `nominal_levels`.
    """
    return float(one_sided_sequential_ps(np.asarray(p_values, dtype=float), fractions))


def sequential_ps(p_values: ndarray, fractions: Sequence[float]) -> ndarray:
    """Return the `sequential_p` of each row of p values, [..., looks]."""
    from scipy.stats import norm

    looks = _checked(fractions)
    if p_values.shape[-1] != len(looks):
        raise ValueError(f"{p_values.shape[-1]} p values for {len(looks)} looks")
    # The bound of the first look is that of the spending function itself.
    first = looks[0] ** 0.5 * norm.isf(p_values[..., 0] / 4)
    found = [4 * norm.sf(first)]
    if len(looks) > 1:
        quantiles, bounds = _table(looks)
        observed = norm.isf(p_values / 2)
        for look in range(1, len(looks)):
            of_look = np.interp(
                observed[..., look], bounds[:, look], quantiles, left=-np.inf, right=quantiles[-1]
            )
            found.append(4 * norm.sf(of_look))
    return np.asarray(np.minimum(1.0, np.min(found, axis=0)))


def one_sided_sequential_ps(p_values: ndarray, fractions: Sequence[float]) -> ndarray:
    """Return the `one_sided_sequential_p` of each row of p values, [..., looks]."""
    two_sided = sequential_ps(np.minimum(1.0, 2 * p_values), fractions)
    return np.where(two_sided < 1, two_sided / 2, 1.0)


def seeds_sequential_p(
    p_values: Sequence[float], fractions: Sequence[float], *, one_sided: bool = False
) -> float:
    """Return the p over all looks so far of tests over few seeds.

    Args:
        p_values: Of each look: two-sided, or one-sided, or of an equivalence test.
        fractions: Their information fractions, as for `nominal_levels`.
        one_sided: Whether they are not two-sided.
    """
    p = np.asarray(p_values, dtype=float)
    return float(seeds_sequential_ps(p, fractions, one_sided=one_sided))


def seeds_sequential_ps(
    p_values: ndarray, fractions: Sequence[float], *, one_sided: bool = False
) -> ndarray:
    """Return the `seeds_sequential_p` of each row of p values, [..., looks]."""
    p = (one_sided_sequential_ps if one_sided else sequential_ps)(p_values, fractions)
    return np.minimum(1.0, MARGIN_OF_T_TESTS * p) if p_values.shape[-1] > 1 else p


def chance_of_rejection(p: float, fraction: float, level: float) -> float:
    """Return the chance that a test rejects at fraction 1, if the effect is as large as it seems.

    Then the score S = Z sqrt(t) is normal at t = 1, with mean Z / sqrt(t) and variance 1 - t. This
    is the conditional power under the current trend (Lan & Wittes, 1988).

    Args:
        p: Two-sided, of what was seen so far alone. A one-sided p gives a slightly larger chance.
        fraction: The information fraction t of what was seen, at most 1.
        level: At which the test is made in the end.
    """
    from scipy.stats import norm

    if fraction >= 1:
        return float(p <= level)
    missing = norm.isf(level / 2) - norm.isf(p / 2) / fraction**0.5
    return float(norm.sf(missing / (1 - fraction) ** 0.5))


@lru_cache(maxsize=64)
def _table(fractions: tuple[float, ...]) -> tuple[ndarray, ndarray]:
    """Return quantiles of a / 4, ascending, and the bounds at them, [quantiles, looks]."""
    from scipy.stats import norm

    quantiles = np.linspace(norm.isf(1 / 4), LARGEST_QUANTILE, QUANTILES)
    return quantiles, _bounds(fractions, quantiles)


def _checked(fractions: Sequence[float]) -> tuple[float, ...]:
    looks = tuple(float(t) for t in fractions)
    steps = np.diff([0.0, *looks, 1.0])
    if not looks or not (steps[:-1] > 0).all() or not steps[-1] >= 0:
        raise ValueError(f"the fractions {list(fractions)} do not ascend from above 0 to at most 1")
    return looks


def _bounds(fractions: tuple[float, ...], quantiles: ndarray) -> ndarray:
    """Return the bounds of |Z| at each look.

    Args:
        fractions: Of the looks, ascending.
        quantiles: The upper a / 4 quantile of a normal distribution, for each significance a.

    Returns:
        [significances, looks].
    """
    from scipy.stats import norm

    spent = 2 * norm.sf(quantiles[:, None] / np.sqrt(fractions))
    bounds = np.empty_like(spent)
    # Before the first look the score is 0.
    scores, masses, before = np.zeros((len(quantiles), 1)), np.ones((len(quantiles), 1)), 0.0
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    for look, fraction in enumerate(fractions):
        deviation = (fraction - before) ** 0.5
        to_spend = spent[:, look] - (spent[:, look - 1] if look else 0.0)
        end = _bound(scores, masses, deviation, to_spend)
        bounds[:, look] = end / fraction**0.5
        if look + 1 < len(fractions):
            half = np.minimum(end, FARTHEST * fraction**0.5)[:, None]
            next_scores = half * nodes
            steps = (next_scores[:, :, None] - scores[:, None, :]) / deviation
            density = np.einsum("and,ad->an", np.exp(-(steps**2) / 2), masses)
            density /= deviation * (2 * np.pi) ** 0.5
            scores, masses, before = next_scores, half * weights * density, fraction
    return bounds


def _bound(scores: ndarray, masses: ndarray, deviation: float, to_spend: ndarray) -> ndarray:
    """Return the score beyond which lies the probability that one tail may spend.

    Args:
        scores: Nodes of the look before, [significances, nodes].
        masses: The probability at each.
        deviation: Standard deviation of the score's change since.
        to_spend: For each significance.
    """
    from scipy.special import ndtr

    low, high = np.zeros(len(to_spend)), np.full(len(to_spend), HIGHEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        beyond = (ndtr((scores - middle[:, None]) / deviation) * masses).sum(-1)
        too_much = beyond > to_spend
        low, high = np.where(too_much, middle, low), np.where(too_much, high, middle)
    return high

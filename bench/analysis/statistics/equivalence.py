"""Tests of paired differences over seeds: whether there is a difference, or a relevant one.

A p is that of a t-test. From 18 seeds on it is the larger of this and that of the sign-flip test:
where the effects of seeds are skewed, very small p values of t-tests are too small, and those that
many contrasts together ask for are very small.

With a bound d on differences that matter, stated beforehand, two one-sided tests can show that the
mean is between -d and d (Schuirmann, 1987), and one of them that it is not below -d. Where all
values are equal, the mean counts as known; one value alone tells nothing (p = 1).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from bench.analysis.statistics.verdicts import flips_above_ps

# With fewer, the least p of the sign-flip test, 2 / 2^n, is above the levels of looks at 60
# contrasts, however clear they are.
SEEDS_FOR_FLIPS = 18
# Values that differ by less than this share of the largest differ by rounding alone.
ROUNDING = 1e-12


def difference_p(values: Sequence[float]) -> float:
    """Return the two-sided p of the hypothesis that the mean is 0."""
    return float(difference_ps(np.asarray(values, dtype=float)))


def above_p(values: Sequence[float], bound: float) -> float:
    """Return the one-sided p of the hypothesis that the mean is at most the bound."""
    return float(above_ps(np.asarray(values, dtype=float), bound))


def equivalence_p(values: Sequence[float], bound: float) -> float:
    """Return the p of the hypothesis that the mean is not between -bound and bound.

    The larger p of the tests of mean <= -bound and of mean >= bound.
    """
    return float(equivalence_ps(np.asarray(values, dtype=float), bound))


def difference_ps(values: ndarray) -> ndarray:
    """Return the `difference_p` of each row of values, [..., seeds]."""
    return np.minimum(1.0, 2 * np.minimum(above_ps(values, 0.0), above_ps(-values, 0.0)))


def above_ps(values: ndarray, bound: float) -> ndarray:
    """Return the `above_p` of each row of values, [..., seeds]."""
    from scipy.special import stdtr

    n = values.shape[-1]
    if n < 2:
        return np.ones(values.shape[:-1])
    above = values.mean(-1) - bound
    error = values.std(-1, ddof=1) / n**0.5
    known = np.ptp(values, -1) <= ROUNDING * np.abs(values).max(-1)
    p = stdtr(n - 1, -above / np.where(known, 1.0, error))
    if n >= SEEDS_FOR_FLIPS:
        p = np.maximum(p, flips_above_ps(values - bound))
    return np.where(known, np.where(values[..., 0] > bound, 0.0, 1.0), p)


def equivalence_ps(values: ndarray, bound: float) -> ndarray:
    """Return the `equivalence_p` of each row of values, [..., seeds]."""
    return np.maximum(above_ps(values, -bound), above_ps(-values, -bound))

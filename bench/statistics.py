"""Intervals and tests over few seeds: t-intervals, exact sign flips, Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

EXACT_LIMIT = 16
DRAWS = 100_000


class Interval(NamedTuple):
    """A mean of n values with its confidence interval; low and high are nan where n < 2."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def half_width(self) -> float:
        """What stands after the plus-minus sign."""
        return (self.high - self.low) / 2


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Return the mean and its t-interval. A percentile bootstrap is too narrow below 10 seeds."""
    from scipy.stats import t

    data = np.asarray(values, dtype=float)
    if data.size == 0:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    mean = float(data.mean())
    if data.size == 1:
        return Interval(mean, float("nan"), float("nan"), 1)
    error = float(data.std(ddof=1)) / data.size**0.5
    half = float(t.ppf((1 + level) / 2, data.size - 1)) * error
    return Interval(mean, mean - half, mean + half, int(data.size))


def paired_interval(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Interval:
    """Return the t-interval of a - b, value by value: both must be of the same seeds, in order."""
    return mean_interval([x - y for x, y in zip(a, b, strict=True)], level)


def sign_flip_p(differences: Sequence[float]) -> float:
    """Return the two-sided p of "these paired differences are symmetric about 0".

    Every pattern of signs is counted up to 16 differences, 100,000 fixed random ones beyond. The
    smallest p that n differences can give is 2 / 2^n, so 0.031 with 6.
    """
    data = np.asarray(differences, dtype=float)
    if data.size == 0:
        return float("nan")
    # Sums of the same numbers in another order differ by rounding; they must count as equal.
    observed = abs(data.sum()) - 1e-9 * np.abs(data).sum()
    if data.size <= EXACT_LIMIT:
        signs = np.array(list(product((1.0, -1.0), repeat=data.size)))
        return float((np.abs(signs @ data) >= observed).mean())
    signs = np.random.default_rng(0).choice((1.0, -1.0), size=(DRAWS, data.size))
    # The observed pattern is one of the possible ones, so p is never 0.
    return float((1 + (np.abs(signs @ data) >= observed).sum()) / (1 + DRAWS))

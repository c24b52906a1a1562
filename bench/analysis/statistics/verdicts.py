"""The test over seeds, its correction for several contrasts, and verdicts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Literal, TypeVar

import numpy as np
from numpy import ndarray

from bench.analysis.statistics.intervals import Interval, mean_interval

MOST_FOR_EXACT = 16
DRAWS = 100_000
# So many rows of values are flipped at once, to save memory.
ROWS = 2_000
SEEDS_FOR_VERDICT = 6
SIGNIFICANCE = 0.05

Verdict = Literal["better", "worse", "none", "too few seeds"]
Key = TypeVar("Key", bound=Hashable)


def sign_flip_p(differences: Sequence[float]) -> float:
    """Return the two-sided p of the hypothesis that paired differences are symmetric about 0.

    With up to 16 differences every pattern of signs is counted, with more 100,000 random ones of
    a fixed seed. The smallest p that n differences can give is 2 / 2^n: 0.031 with 6.
    """
    return float(sign_flip_ps(np.asarray(differences, dtype=float)[None])[0])


def sign_flip_ps(differences: ndarray) -> ndarray:
    """Return the `sign_flip_p` of each row of differences, [rows, n]; nan where n is 0."""
    rows, n = differences.shape
    if n == 0:
        return np.full(rows, np.nan)
    # Sums of the same numbers in another order differ by rounding; they must count as equal.
    observed = np.abs(differences.sum(1)) - 1e-9 * np.abs(differences).sum(1)
    sums = np.abs(_signs(n) @ differences.T)
    if n <= MOST_FOR_EXACT:
        return np.asarray((sums >= observed).mean(0))
    # The observed pattern is one of the possible ones: p is never 0.
    return np.asarray((1 + (sums >= observed).sum(0)) / (1 + DRAWS))


def flips_above_ps(values: ndarray) -> ndarray:
    """Return the one-sided p of the hypothesis that values are symmetric about 0 or a number below.

    It is half of the `sign_flip_p`, ties aside, where the sum is above 0.

    Args:
        values: [..., n], n above 0.

    Returns:
        [...].
    """
    rows = values.reshape(-1, values.shape[-1])
    signs = _signs(rows.shape[1])
    chance = 0 if rows.shape[1] <= MOST_FOR_EXACT else 1
    p = np.empty(len(rows))
    for start in range(0, len(rows), ROWS):
        part = rows[start : start + ROWS]
        observed = part.sum(1) - 1e-9 * np.abs(part).sum(1)
        reached = (signs @ part.T >= observed).sum(0)
        p[start : start + ROWS] = (chance + reached) / (chance + len(signs))
    return p.reshape(values.shape[:-1])


# Every pair of methods asks for the same ones, and drawing them takes longer than the test.
@lru_cache(maxsize=2)
def _signs(n: int) -> ndarray:
    """Return the patterns of n signs that the test counts, [patterns, n]."""
    if n <= MOST_FOR_EXACT:
        return np.array(list(product((1.0, -1.0), repeat=n)))
    return np.random.default_rng(0).choice((1.0, -1.0), size=(DRAWS, n))


def holm(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """Return each contrast's p, corrected for the number of contrasts (Holm, 1979)."""
    order = sorted(p_values, key=lambda name: p_values[name])
    corrected: dict[Key, float] = {}
    largest = 0.0
    for rank, name in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[name]))
        corrected[name] = largest
    return {name: corrected[name] for name in p_values}


def verdict(
    differences: Sequence[float], p: float | None = None, interval: Interval | None = None
) -> Verdict:
    """Return whether the first method of a declared contrast is better than the second.

    A verdict needs 6 seeds, p < 0.05 and a 95% interval without 0.

    Args:
        differences: First less second, one for each seed that both have.
        p: Of their test, corrected for the number of contrasts. By default that of the sign-flip
            test of a single contrast.
        interval: The 95% interval of their mean; by default the t-interval over seeds.
    """
    if len(differences) < SEEDS_FOR_VERDICT:
        return "too few seeds"
    if not (sign_flip_p(differences) if p is None else p) < SIGNIFICANCE:
        return "none"
    interval = interval or mean_interval(differences)
    return "better" if interval.low > 0 else "worse" if interval.high < 0 else "none"


def seeds_for_verdict(contrasts: int) -> int:
    """Return how many seeds are needed to confirm one of this many declared contrasts.

    The smallest p with n seeds is 2 / 2^n, and Holm multiplies the smallest p by the number of
    contrasts.
    """
    seeds = SEEDS_FOR_VERDICT
    while contrasts * 2 / 2**seeds >= SIGNIFICANCE:
        seeds += 1
    return seeds

"""Statistics for few seeds: intervals, tests, corrections, and summaries over settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import comb
from typing import Literal, NamedTuple

import numpy as np
from numpy import ndarray

MOST_FOR_EXACT = 16
DRAWS = 100_000
RESAMPLES = 2_000
SEEDS_FOR_VERDICT = 6
SIGNIFICANCE = 0.05

Verdict = Literal["better", "worse", "none", "too few seeds"]


class Interval(NamedTuple):
    """A mean with its confidence interval.

    Attributes:
        mean: The mean, or another statistic.
        low: Lower end; nan where n < 2.
        high: Upper end; nan where n < 2.
        n: Number of values.
    """

    mean: float
    low: float
    high: float
    n: int

    @property
    def half_width(self) -> float:
        """Half the interval's width, shown after a plus-minus sign."""
        return (self.high - self.low) / 2


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Return the mean and its t-interval; a percentile bootstrap is too narrow below 10 seeds."""
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
    """Return the t-interval of a - b; both hold values of the same seeds in the same order."""
    return mean_interval([x - y for x, y in zip(a, b, strict=True)], level)


def sign_flip_p(differences: Sequence[float]) -> float:
    """Return the two-sided p of the hypothesis that paired differences are symmetric about 0.

    With up to 16 differences every pattern of signs is counted, with more 100,000 random ones of
    a fixed seed. The smallest p that n differences can give is 2 / 2^n: 0.031 with 6.
    """
    data = np.asarray(differences, dtype=float)
    if data.size == 0:
        return float("nan")
    # Sums of the same numbers in another order differ by rounding; they must count as equal.
    observed = abs(data.sum()) - 1e-9 * np.abs(data).sum()
    if data.size <= MOST_FOR_EXACT:
        signs = np.array(list(product((1.0, -1.0), repeat=data.size)))
        return float((np.abs(signs @ data) >= observed).mean())
    signs = np.random.default_rng(0).choice((1.0, -1.0), size=(DRAWS, data.size))
    # The observed pattern is one of the possible ones: p is never 0.
    return float((1 + (np.abs(signs @ data) >= observed).sum()) / (1 + DRAWS))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return each contrast's p, corrected for the number of contrasts (Holm, 1979)."""
    order = sorted(p_values, key=lambda name: p_values[name])
    corrected: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[name]))
        corrected[name] = largest
    return {name: corrected[name] for name in p_values}


def verdict(differences: Sequence[float], p: float | None = None) -> Verdict:
    """Return whether the first method of a declared contrast is better than the second.

    A verdict needs 6 seeds, p < 0.05 and a 95% t-interval without 0.

    Args:
        differences: First less second, one for each seed that both have.
        p: Its sign-flip p, corrected for the number of declared contrasts. Without it, the
            contrast is taken to be the only one.
    """
    if len(differences) < SEEDS_FOR_VERDICT:
        return "too few seeds"
    if not (sign_flip_p(differences) if p is None else p) < SIGNIFICANCE:
        return "none"
    interval = mean_interval(differences)
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


def two_way_error(values: ndarray, rows: ndarray, columns: ndarray) -> float:
    """Return the standard error of a mean whose values share rows (seeds) and columns (prompts).

    V_rows + V_columns - V_cells, each with G / (G - 1) for its G clusters; where that is negative,
    the larger of the first two (Cameron, Gelbach & Miller, 2011). A side with one cluster tells
    nothing and is left out; the result is nan where both have one.

    Args:
        values: [n].
        rows: The row of each value, [n].
        columns: The column of each value, [n].
    """
    data = np.asarray(values, dtype=float)
    sides = [_clustered_variance(data, clusters) for clusters in (rows, columns)]
    known = [variance for variance in sides if np.isfinite(variance)]
    if len(known) < 2:
        return float(known[0] ** 0.5) if known else float("nan")
    both = sum(known) - _clustered_variance(data, np.arange(data.size))
    return float((both if both > 0 else max(known)) ** 0.5)


def _clustered_variance(data: ndarray, clusters: ndarray) -> float:
    _, places = np.unique(clusters, return_inverse=True)
    sums = np.bincount(places, data - data.mean())
    count = sums.size
    return float((sums**2).sum() / data.size**2 * count / (count - 1)) if count > 1 else np.nan


def probability_of_improvement(ours: Sequence[ndarray], theirs: Sequence[ndarray]) -> float:
    """Return P(a run of ours beats one of theirs), mean over tasks (Agarwal et al., 2021).

    Ties count half. Seeds are not paired here.

    Args:
        ours: Rewards of the seeds of each task.
        theirs: Likewise, in the same order of tasks.
    """
    if not len(ours):
        return float("nan")
    shares = [
        float((np.greater.outer(a, b) + 0.5 * np.equal.outer(a, b)).mean())
        for a, b in zip(ours, theirs, strict=True)
    ]
    return float(np.mean(shares))


def iqm(values: Sequence[ndarray]) -> float:
    """Return the interquartile mean over the runs of all tasks (Agarwal et al., 2021)."""
    data = np.sort(np.concatenate(values))
    cut = data.size // 4
    return float(data[cut : data.size - cut].mean())


def stratified_bootstrap(
    statistic: Callable[[Sequence[ndarray]], float],
    values: Sequence[ndarray],
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return a statistic over tasks with its percentile interval, seeds resampled in each task.

    On one task with few seeds this interval is too narrow: use the t-interval there.

    Args:
        statistic: Returns a number from the values of all tasks.
        values: One array for each task, a row for each seed.
        level: Of the interval.
        resamples: How many bootstrap draws.
    """
    random = np.random.default_rng(0)
    drawn = [
        statistic([task[random.integers(len(task), size=len(task))] for task in values])
        for _ in range(resamples)
    ]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(statistic(values), float(low), float(high), sum(map(len, values)))


def collapses(gains: Sequence[float]) -> int:
    """Return how many runs ended below their start: their gain is below 0, or not known."""
    return sum(not gain >= 0 for gain in gains)


def best_of_k(validation: Sequence[float], test: Sequence[float]) -> list[float]:
    """Return, for k = 1 to n, the test reward to expect had k of the n settings been tried.

    The k settings are drawn without replacement and the one with the highest validation reward is
    taken: the i-th from below in C(i - 1, k - 1) of the C(n, k) draws. Settings that tie share it.

    Args:
        validation: Validation reward of each setting.
        test: Test reward of each setting.
    """
    n = len(validation)
    order = np.argsort(validation, kind="stable")
    rewards = np.asarray(test, dtype=float)[order]
    _, tie = np.unique(np.asarray(validation)[order], return_inverse=True)
    rewards = np.array([rewards[tie == group].mean() for group in tie])
    return [
        float(sum(comb(i, k - 1) * rewards[i] for i in range(n)) / comb(n, k))
        for k in range(1, n + 1)
    ]


def reward_within(
    kls: Sequence[float], validation: Sequence[float], test: Sequence[float], budget: float
) -> float:
    """Return the test reward of the setting that validation would select within a KL budget.

    Args:
        kls: KL of each setting (nats).
        validation: Validation reward of each setting.
        test: Test reward of each setting.
        budget: The largest KL allowed (nats).

    Returns:
        nan where no setting's KL is within the budget.
    """
    within = [
        (validation_reward, test_reward)
        for kl, validation_reward, test_reward in zip(kls, validation, test, strict=True)
        if kl <= budget
    ]
    return max(within)[1] if within else float("nan")


def area_share(
    points: Sequence[tuple[float, float]], frontier: Sequence[tuple[float, float]], start: float
) -> float:
    """Return the area under a method's frontier as a share of that under the optimal one.

    Both areas are above the SFT policy's reward and end at the largest KL of the optimal frontier.
    A method's frontier is the best reward within each KL budget, the SFT policy's where no
    setting is within it.

    Args:
        points: KL and reward of each setting.
        frontier: KL and reward along the optimal frontier.
        start: Reward of the SFT policy.

    Returns:
        nan where there is nothing to gain.
    """
    kls, rewards = np.array(frontier, dtype=float).T
    grid = np.linspace(0.0, kls[-1], 2001)
    best = np.full_like(grid, start)
    for kl, reward in points:
        best[grid >= kl] = np.maximum(best[grid >= kl], reward)
    whole = np.trapezoid(np.interp(grid, kls, rewards) - start, grid)
    return float(np.trapezoid(best - start, grid) / whole) if whole > 1e-9 else float("nan")

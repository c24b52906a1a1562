"""Intervals for few seeds, and statistics over the seeds of several tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray

RESAMPLES = 2_000


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


def welch_interval(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Interval:
    """Return mean(a) - mean(b) of unpaired samples and its interval (Welch, 1947)."""
    from scipy.stats import t

    ours, theirs = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    n = int(ours.size + theirs.size)
    if not ours.size or not theirs.size:
        return Interval(float("nan"), float("nan"), float("nan"), n)
    mean = float(ours.mean() - theirs.mean())
    if ours.size == 1 or theirs.size == 1:
        return Interval(mean, float("nan"), float("nan"), n)
    errors = np.array([data.var(ddof=1) / data.size for data in (ours, theirs)])
    if not errors.any():
        return Interval(mean, mean, mean, n)
    # Satterthwaite's degrees of freedom.
    freedom = errors.sum() ** 2 / (errors**2 / (ours.size - 1, theirs.size - 1)).sum()
    half = float(t.ppf((1 + level) / 2, freedom) * errors.sum() ** 0.5)
    return Interval(mean, mean - half, mean + half, n)


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

"""How much of the variance in reward each factor of a claim explains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy import ndarray

from bench.analysis.claims.quantities import at_chosen_setting
from bench.analysis.statistics import Interval, mean_interval
from bench.config.claim import Factor
from bench.results.loading import Results


class Share(NamedTuple):
    """What one factor explains.

    Attributes:
        factor: Its name.
        gain: The mean gain in reward from its worse to its better level, with its 95% interval.
        share: Of the variance in reward where every factor has both levels equally often and their
            gains add up; with a 95% jackknife interval over seeds. nan without a seed.
    """

    factor: str
    gain: Interval
    share: Interval


def variance_shares(results: Results, factors: Mapping[str, Factor]) -> list[Share]:
    """Return the share of each factor, over the seeds that have all gains.

    Args:
        results: Of the claim's experiment.
        factors: By name.
    """
    if not factors:
        return []
    gains = pd.DataFrame(
        {
            name: at_chosen_setting(results.runs, factor.better)["reward"]
            - at_chosen_setting(results.runs, factor.worse)["reward"]
            for name, factor in factors.items()
        }
    ).dropna()
    intervals = share_intervals(gains.to_numpy())
    return [
        Share(name, mean_interval(gains[name].tolist()), interval)
        for name, interval in zip(factors, intervals, strict=True)
    ]


def share_intervals(gains: ndarray) -> list[Interval]:
    """Return each factor's share of the variance, with its 95% jackknife interval over seeds.

    Args:
        gains: [seeds, factors].
    """
    n = len(gains)
    if n == 0:
        return [Interval(np.nan, np.nan, np.nan, 0)] * gains.shape[1]
    shares = _shares(gains)
    if n < 3:
        return [Interval(float(share), np.nan, np.nan, n) for share in shares]
    without_one = np.array([_shares(np.delete(gains, i, axis=0)) for i in range(n)])
    pseudo = n * shares - (n - 1) * without_one
    widths = [mean_interval(values.tolist()).half_width for values in pseudo.T]
    return [
        Interval(float(share), float(max(share - width, 0.0)), float(min(share + width, 1.0)), n)
        for share, width in zip(shares, widths, strict=True)
    ]


def _shares(gains: ndarray) -> ndarray:
    """Return the shares: with gain g between two equally frequent levels, the variance is g^2 / 4.

    The noise of the mean gains, which their squares contain, is subtracted.
    """
    n = len(gains)
    noise = gains.var(axis=0, ddof=1) / n if n > 1 else np.zeros(gains.shape[1])
    squares = np.maximum(gains.mean(axis=0) ** 2 - noise, 0.0)
    total = squares.sum()
    return squares / total if total > 0 else np.full(gains.shape[1], np.nan)

"""The error of a mean over seeds that share their prompts: crossed random effects.

The value of seed s on prompt p is

    d[s, p] = mean + seed[s] + prompt[p] + rest[s, p]

with independent effects. Other seeds and other prompts have other effects, so the variance of the
mean over S seeds and P prompts is V_seed / S + V_prompt / P + V_rest / (S P). The two-way analysis
of variance has the mean squares

    MS_seed   = P sum_s (d[s, .] - d[., .])^2 / (S - 1)    with expectation P V_seed + V_rest
    MS_prompt = S sum_p (d[., p] - d[., .])^2 / (P - 1)    with expectation S V_prompt + V_rest
    MS_rest   = sum_sp (d[s, p] - d[s, .] - d[., p] + d[., .])^2 / ((S - 1) (P - 1))
                                                           with expectation V_rest

so (MS_seed + MS_prompt - MS_rest) / (S P) estimates that variance without bias (Searle, Casella &
McCulloch, Variance Components, 1992).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import ndarray

from bench.analysis.statistics.intervals import Interval


class CrossedMean(NamedTuple):
    """Means of tables of values, with their errors for other seeds and other prompts.

    Each has the shape [...] of the tables, and `errors` and `freedom` have three rows: over seeds
    alone, over prompts alone, and over both. A row that cannot be known is nan.

    Attributes:
        mean: Over seeds and prompts.
        errors: Standard errors of the mean, [3, ...].
        freedom: Their degrees of freedom, [3, ...].
        from_seeds: The variance of the mean that more seeds would reduce; nan with one seed.
        from_prompts: The variance of the mean that more prompts would reduce; nan with one seed.
    """

    mean: ndarray
    errors: ndarray
    freedom: ndarray
    from_seeds: ndarray
    from_prompts: ndarray

    def p(self) -> ndarray:
        """Return the two-sided p of the hypothesis that the mean is 0: the largest of the three."""
        from scipy.stats import t

        with np.errstate(divide="ignore", invalid="ignore"):
            size = np.abs(self.mean) / self.errors
        # Tables of zeros show no difference, however small their error.
        size = np.where((self.errors == 0) & (self.mean == 0), 0.0, size)
        return np.asarray(np.fmax.reduce(2 * t.sf(size, self.freedom)))

    def half_width(self, level: float = 0.95) -> ndarray:
        """Return half the width of the interval: the widest of the three."""
        from scipy.stats import t

        return np.asarray(np.fmax.reduce(t.ppf((1 + level) / 2, self.freedom) * self.errors))


def crossed_mean(values: ndarray) -> CrossedMean:
    """Return the means of tables of values with their errors.

    The error over both takes its degrees of freedom from Satterthwaite (1946), and a component of
    variance below 0 counts as 0. With two to four seeds those degrees are too many where seeds
    dominate: such intervals covered 88% to 93% where 95% is claimed, and the widest of the three
    at least 94%. With one seed the error is that over prompts.

    Args:
        values: [..., seeds, prompts].
    """
    seeds, prompts = values.shape[-2:]
    mean = values.mean((-2, -1))
    unknown = np.full(mean.shape, np.nan)
    of_seeds = values.mean(-1) - mean[..., None]
    of_prompts = values.mean(-2) - mean[..., None]
    rest = values - mean[..., None, None] - of_seeds[..., :, None] - of_prompts[..., None, :]
    free = np.array([seeds - 1, prompts - 1, (seeds - 1) * (prompts - 1)], dtype=float)
    squares = (
        prompts * (of_seeds**2).sum(-1),
        seeds * (of_prompts**2).sum(-1),
        (rest**2).sum((-2, -1)),
    )
    by_seed, by_prompt, of_rest = (
        total / n if n else unknown for total, n in zip(squares, free, strict=True)
    )
    seed_part, prompt_part = np.maximum(by_seed, of_rest), np.maximum(by_prompt, of_rest)
    both = seed_part + prompt_part - of_rest
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = (seed_part**2 / free[0], prompt_part**2 / free[1], of_rest**2 / free[2])
        satterthwaite = np.where(both > 0, both**2 / sum(parts), free[:2].min())
    one_way = [np.full(mean.shape, n) for n in free[:2]]
    return CrossedMean(
        mean,
        np.sqrt(np.stack([by_seed, by_prompt, both]) / (seeds * prompts)),
        np.stack([*one_way, satterthwaite]),
        (seed_part - of_rest) / (seeds * prompts),
        (prompt_part - of_rest) / (seeds * prompts),
    )


def crossed_interval(values: ndarray, level: float = 0.95) -> Interval:
    """Return the mean of a table, [seeds, prompts], with its interval for other ones of both."""
    if not values.size:
        return Interval(float("nan"), float("nan"), float("nan"), len(values))
    found = crossed_mean(values)
    mean, half = float(found.mean), float(found.half_width(level))
    return Interval(mean, mean - half, mean + half, len(values))


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

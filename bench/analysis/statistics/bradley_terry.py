"""Bradley-Terry strengths of three or more methods, fitted to their win rates."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from bench.analysis.statistics import Interval

# Keeps the fit finite where a method always wins; elsewhere it has no visible effect.
PENALTY = 1e-6
# Newton's step in log-odds: longer ones can overshoot where the likelihood is flat.
LONGEST_STEP = 2.0
STEPS = 100
RESAMPLES = 1_000


def fit_strengths(rates: ndarray) -> ndarray:
    """Return the log-strengths s such that i beats j at the rate expit(s_i - s_j).

    Maximum likelihood with every pair counted alike (Bradley & Terry, 1952).

    Args:
        rates: How often the row beats the column, ties half, [..., k, k]; nan on the diagonal and
            where not compared.

    Returns:
        Log-strengths with mean 0, [..., k].
    """
    from scipy.special import expit

    known = np.isfinite(rates)
    k = rates.shape[-1]
    identity = np.eye(k)
    strengths = np.zeros(rates.shape[:-1])
    for _ in range(STEPS):
        expected = expit(strengths[..., :, None] - strengths[..., None, :])
        missing = np.where(known, rates - expected, 0.0)
        gradient = missing.sum(-1) - missing.sum(-2) - PENALTY * strengths
        weights = np.where(known, expected * (1 - expected), 0.0)
        weights = weights + np.swapaxes(weights, -1, -2)
        hessian = identity * (weights.sum(-1) + PENALTY)[..., None] - weights
        # Only differences of strengths matter: fixing their mean adds no information.
        step = np.linalg.solve(hessian + 1 / k, gradient[..., None])[..., 0]
        strengths = strengths + np.clip(step, -LONGEST_STEP, LONGEST_STEP)
        if np.abs(step).max() < 1e-9:
            break
    return strengths - strengths.mean(-1, keepdims=True)


def mean_rates(cells: ndarray, seeds: ndarray, prompts: ndarray) -> ndarray:
    """Return the win rates, each seed and each prompt weighted by a count.

    Args:
        cells: Win rates, [k, k, seeds, prompts]; nan where not measured.
        seeds: How often each seed counts, [..., seeds].
        prompts: How often each prompt counts, [..., prompts].

    Returns:
        [..., k, k], nan where nothing was measured.
    """
    known = np.isfinite(cells)

    def weighted(values: ndarray) -> ndarray:
        return np.einsum("ijsp,...s,...p->...ij", values, seeds, prompts, optimize=True)

    total = weighted(known.astype(float))
    won = weighted(np.where(known, cells, 0.0))
    return np.divide(won, total, out=np.full_like(won, np.nan), where=total > 0)


def strength_intervals(
    cells: ndarray, level: float = 0.95, resamples: int = RESAMPLES
) -> list[Interval]:
    """Return each method's log-strength with its percentile interval.

    Seeds and prompts are resampled independently of each other (Owen, 2007), so an effect that
    all prompts of a seed share counts once. With few seeds these intervals are too narrow.

    Args:
        cells: Win rates, [k, k, seeds, prompts]; nan where not measured.
        level: Of the intervals.
        resamples: How many bootstrap draws.

    Returns:
        An interval for each of the k methods.
    """
    _, _, seeds, prompts = cells.shape
    random = np.random.default_rng(0)
    drawn = mean_rates(
        cells,
        random.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples),
        random.multinomial(prompts, np.full(prompts, 1 / prompts), size=resamples),
    )
    strengths = fit_strengths(mean_rates(cells, np.ones(seeds), np.ones(prompts)))
    low, high = np.quantile(fit_strengths(drawn), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return [
        Interval(float(mean), float(below), float(above), seeds)
        for mean, below, above in zip(strengths, low, high, strict=True)
    ]


def implied_rates(strengths: ndarray) -> ndarray:
    """Return the win rates [k, k] that the strengths imply."""
    from scipy.special import expit

    return np.asarray(expit(strengths[:, None] - strengths[None, :]))

"""One scale for three or more methods: Bradley-Terry strengths fit to their win rates."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from bench.analysis.statistics import Interval

# Keeps the fit finite where a method wins always; else it is not felt.
FAINT = 1e-6
# Newton's step in log-odds: longer ones can overshoot where the likelihood is flat.
LONGEST_STEP = 2.0
STEPS = 100
RESAMPLES = 1_000


def fit_strengths(rates: ndarray) -> ndarray:
    """Return log-strengths s [..., k], mean 0, such that i beats j at the rate expit(s_i - s_j).

    rates: [..., k, k], how often the row beats the column, ties half; nan where not compared, and
    on the diagonal. Maximum likelihood with every pair counted alike (Bradley & Terry, 1952).
    """
    from scipy.special import expit

    known = np.isfinite(rates)
    k = rates.shape[-1]
    identity = np.eye(k)
    strengths = np.zeros(rates.shape[:-1])
    for _ in range(STEPS):
        expected = expit(strengths[..., :, None] - strengths[..., None, :])
        missing = np.where(known, rates - expected, 0.0)
        gradient = missing.sum(-1) - missing.sum(-2) - FAINT * strengths
        weights = np.where(known, expected * (1 - expected), 0.0)
        weights = weights + np.swapaxes(weights, -1, -2)
        hessian = identity * (weights.sum(-1) + FAINT)[..., None] - weights
        # Strengths are told apart by differences only: fixing their mean adds no information.
        step = np.linalg.solve(hessian + 1 / k, gradient[..., None])[..., 0]
        strengths = strengths + np.clip(step, -LONGEST_STEP, LONGEST_STEP)
        if np.abs(step).max() < 1e-9:
            break
    return strengths - strengths.mean(-1, keepdims=True)


def mean_rates(cells: ndarray, seeds: ndarray, prompts: ndarray) -> ndarray:
    """Return the win rates [..., k, k] with each seed and each prompt counted so many times.

    cells: [k, k, seeds, prompts], nan where not measured; seeds: [..., seeds]; prompts:
    [..., prompts].
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

    cells: as `mean_rates` has them. Seeds and prompts are drawn anew together, each on its own
    (Owen, 2007), so that what all prompts of a seed share counts as one. With few seeds these
    intervals are too narrow.
    """
    _, _, seeds, prompts = cells.shape
    random = np.random.default_rng(0)
    drawn = mean_rates(
        cells,
        random.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples),
        random.multinomial(prompts, np.full(prompts, 1 / prompts), size=resamples),
    )
    found = fit_strengths(mean_rates(cells, np.ones(seeds), np.ones(prompts)))
    low, high = np.quantile(fit_strengths(drawn), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return [
        Interval(float(mean), float(below), float(above), seeds)
        for mean, below, above in zip(found, low, high, strict=True)
    ]


def implied_rates(strengths: ndarray) -> ndarray:
    """Return the win rates [k, k] that the strengths imply."""
    from scipy.special import expit

    return np.asarray(expit(strengths[:, None] - strengths[None, :]))

"""Win rates of one list of rewards over another, and at equal length."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy import ndarray

# L2 penalty that keeps the fit finite where one side always wins, or all lengths are equal. It is
# too small to matter otherwise.
TINY_PENALTY = 1e-6
# L2 penalty on difficulties: prompts differ by about one unit of log-odds.
DIFFICULTY_PENALTY = 1.0


def weighted_win_rate(
    ours: ndarray,
    theirs: ndarray,
    our_weights: ndarray | None = None,
    their_weights: ndarray | None = None,
) -> float:
    """Return P(ours > theirs) + P(ours = theirs) / 2 for two weighted lists of rewards.

    Args:
        ours: Rewards, [n].
        theirs: Rewards, [m].
        our_weights: [n], of any sum; None for equal weights.
        their_weights: [m], likewise.
    """
    values, ranks = np.unique(np.concatenate([ours, theirs]), return_inverse=True)
    p = np.bincount(ranks[: len(ours)], our_weights, minlength=len(values))
    q = np.bincount(ranks[len(ours) :], their_weights, minlength=len(values))
    p, q = p / p.sum(), q / q.sum()
    below = np.concatenate([[0.0], np.cumsum(q)[:-1]])
    return float((p * (below + 0.5 * q)).sum())


def sem(means: list[float]) -> float:
    """Return the standard error of the mean of independent values; nan for a single one."""
    return float(np.std(means, ddof=1) / len(means) ** 0.5) if len(means) > 1 else float("nan")


def length_controlled(won: ndarray, longer: ndarray, prompts: Sequence[str]) -> float:
    """Return the win rate if all responses were as long as the opponent's (Dubois et al., 2024).

    A logistic regression of the outcomes, log-odds = strength + length * tanh(longer / sd) +
    difficulty of the prompt, is evaluated at a length difference of 0 and averaged over the
    comparisons. Prompts that occur only once have no difficulty: it could not be told from the
    strength. The two sides are treated alike: swapped, they give 1 minus the result.

    Where the length alone decides every comparison, the fit has no finite optimum, and nothing is
    known of equal lengths.

    Args:
        won: Outcome of each comparison, 0 to 1, [n].
        longer: How much longer the response is than the opponent's, in any unit, [n].
        prompts: The prompt of each comparison, [n].

    Returns:
        The win rate; nan where the length alone decides every comparison.
    """
    from scipy.optimize import minimize
    from scipy.special import expit, log_expit

    if separated_by_length(won, longer) or separated_by_length(won, -longer):
        return math.nan

    spread = float(longer.std(ddof=1)) if len(longer) > 1 else 0.0
    design = [np.ones(len(won)), np.tanh(longer / spread) if spread else np.zeros(len(won))]
    repeated = [prompt for prompt, count in Counter(prompts).items() if count > 1]
    design += [np.array([p == prompt for p in prompts], dtype=float) for prompt in repeated]
    columns = np.stack(design, axis=1)
    penalty = np.array([TINY_PENALTY, TINY_PENALTY] + [DIFFICULTY_PENALTY] * len(repeated))

    def loss(weights: ndarray) -> tuple[float, ndarray]:
        odds = columns @ weights
        fit = -(won * log_expit(odds) + (1 - won) * log_expit(-odds)).sum()
        gradient = columns.T @ (expit(odds) - won) + penalty * weights
        return float(fit + (penalty * weights**2).sum() / 2), gradient

    optimum = minimize(
        loss,
        np.zeros(columns.shape[1]),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": 1e-10, "ftol": 0, "maxiter": 5000},
    )
    columns[:, 1] = 0
    return float(expit(columns @ optimum.x).mean())


def separated_by_length(won: ndarray, longer: ndarray) -> bool:
    """Return whether wins and losses lie on two sides of some length difference.

    A logistic regression on the length then has no finite optimum (Albert & Anderson, 1984). Only
    at that difference can wins, ties and losses be mixed; if it is 0, they do give the win rate at
    equal length.

    Args:
        won: Outcome of each comparison, 0 to 1, [n].
        longer: How much longer the response is than the opponent's, [n].
    """
    if (won == 0).all() or (won == 1).all():
        return False
    low, high = longer[won < 1].max(), longer[won > 0].min()
    return bool(low <= high) and not low == high == 0

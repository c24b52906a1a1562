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
# The fit ends where no slope is larger, or no step of at least this size improves it.
GRADIENT = 1e-10
SMALLEST_STEP = 1e-6
MOST_STEPS = 200


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
    if separated_by_length(won, longer) or separated_by_length(won, -longer):
        return math.nan

    spread = float(longer.std(ddof=1)) if len(longer) > 1 else 0.0
    length = np.tanh(longer / spread) if spread else np.zeros(len(won))
    repeated = [prompt for prompt, count in Counter(prompts).items() if count > 1]
    numbers = {prompt: i for i, prompt in enumerate(repeated)}
    # Prompts that occur only once share a last number, whose difficulty stays 0.
    places = np.array([numbers.get(prompt, len(repeated)) for prompt in prompts])
    return _rate_at_equal_length(won, length, places, len(repeated))


def _rate_at_equal_length(won: ndarray, length: ndarray, places: ndarray, prompts: int) -> float:
    """Fit the regression of `length_controlled` by Newton's method, and evaluate it at length 0.

    The Hessian is diagonal for the difficulties, so that a step costs no more than a pass over the
    comparisons (elimination by the Schur complement).
    """
    from scipy.special import expit, log_expit

    shared = np.stack([np.ones(len(won)), length])
    free = np.arange(prompts + 1) < prompts

    def per_prompt(values: ndarray) -> ndarray:
        return np.bincount(places, values, minlength=prompts + 1) * free

    def odds(point: tuple[ndarray, ndarray]) -> ndarray:
        return np.asarray(point[0] @ shared + point[1][places])

    def loss(point: tuple[ndarray, ndarray]) -> float:
        fit = -(won * log_expit(odds(point)) + (1 - won) * log_expit(-odds(point))).sum()
        penalty = TINY_PENALTY * (point[0] ** 2).sum() + DIFFICULTY_PENALTY * (point[1] ** 2).sum()
        return float(fit + penalty / 2)

    point = np.zeros(2), np.zeros(prompts + 1)
    for _ in range(MOST_STEPS):
        rates = expit(odds(point))
        slopes = shared @ (rates - won) + TINY_PENALTY * point[0]
        prompt_slopes = per_prompt(rates - won) + DIFFICULTY_PENALTY * point[1]
        if max(abs(slopes).max(), abs(prompt_slopes).max()) < GRADIENT:
            break
        variance = rates * (1 - rates)
        across = np.stack([per_prompt(variance * row) for row in shared])
        diagonal = per_prompt(variance) + DIFFICULTY_PENALTY
        curvature = (shared * variance) @ shared.T + TINY_PENALTY * np.eye(2)
        step = np.linalg.solve(
            curvature - (across / diagonal) @ across.T,
            slopes - across @ (prompt_slopes / diagonal),
        )
        prompt_step = (prompt_slopes - step @ across) / diagonal
        here, size = loss(point), 1.0
        while size > SMALLEST_STEP:
            ahead = point[0] - size * step, point[1] - size * prompt_step
            if loss(ahead) < here:
                break
            size /= 2
        else:
            # As low as rounding lets it be.
            break
        point = ahead
    return float(expit(point[0][0] + point[1][places]).mean())


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

"""How often one list of rewards beats another, and how often it would at equal length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy import ndarray

# Keeps the fit finite where one side wins always, or all lengths agree; else it is not felt.
FAINT = 1e-6
# Prompts differ in difficulty by about one unit of log-odds.
DIFFICULTY = 1.0


def weighted_win_rate(
    ours: ndarray,
    theirs: ndarray,
    our_weights: ndarray | None = None,
    their_weights: ndarray | None = None,
) -> float:
    """Return P(ours > theirs) + P(tie) / 2 for two weighted lists of rewards (default: evenly)."""
    values, places = np.unique(np.concatenate([ours, theirs]), return_inverse=True)
    mine, other = places[: len(ours)], places[len(ours) :]
    p = np.bincount(mine, our_weights, minlength=len(values))
    q = np.bincount(other, their_weights, minlength=len(values))
    p, q = p / p.sum(), q / q.sum()
    below = np.concatenate([[0.0], np.cumsum(q)[:-1]])
    return float((p * (below + 0.5 * q)).sum())


def sem(means: list[float]) -> float:
    """Return the standard error of a mean of independent means; not a number for one."""
    return float(np.std(means, ddof=1) / len(means) ** 0.5) if len(means) > 1 else float("nan")


def length_controlled(won: ndarray, longer: ndarray, prompts: Sequence[str]) -> float:
    """Return the share won if all responses were as long as the opponent's (Dubois et al., 2024).

    A logistic model: log-odds = model + length * tanh(longer / sd) + difficulty of the prompt,
    read at a length difference of 0 and averaged over prompts. won: [n], 0 to 1; longer: [n], by
    how much the response is longer. A prompt's difficulty can be told from the model's strength
    only where the prompt comes up more than once, so elsewhere there is none. The two sides are
    treated alike: with them swapped the result is 1 minus this.
    """
    from scipy.optimize import minimize
    from scipy.special import expit, log_expit

    spread = float(longer.std(ddof=1)) if len(longer) > 1 else 0.0
    design = [np.ones(len(won)), np.tanh(longer / spread) if spread else np.zeros(len(won))]
    repeated = [prompt for prompt, count in Counter(prompts).items() if count > 1]
    design += [np.array([p == prompt for p in prompts], dtype=float) for prompt in repeated]
    columns = np.stack(design, axis=1)
    pull = np.array([FAINT, FAINT] + [DIFFICULTY] * len(repeated))

    def loss(weights: ndarray) -> tuple[float, ndarray]:
        odds = columns @ weights
        fit = -(won * log_expit(odds) + (1 - won) * log_expit(-odds)).sum()
        gradient = columns.T @ (expit(odds) - won) + pull * weights
        return float(fit + (pull * weights**2).sum() / 2), gradient

    found = minimize(
        loss,
        np.zeros(columns.shape[1]),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": 1e-10, "ftol": 0, "maxiter": 5000},
    )
    columns[:, 1] = 0
    return float(expit(columns @ found.x).mean())

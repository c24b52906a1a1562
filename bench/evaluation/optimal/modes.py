"""What gold's optimum would say at a policy's KL: how long, and with how much of its modes."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from bench.evaluation.optimal.frontier import Frontiers

HELD = 0.5


def modes(optimum: ndarray) -> ndarray:
    """Return which responses are modes, [prompts, R]: the fewest that hold half of the optimum.

    optimum: probabilities [prompts, R] of all responses.
    """
    order = np.argsort(-optimum, axis=1, kind="stable")
    ranked = np.take_along_axis(optimum, order, axis=1)
    before = np.cumsum(ranked, axis=1) - ranked
    found = np.zeros(optimum.shape, dtype=bool)
    np.put_along_axis(found, order, before < HELD, axis=1)
    return found


def mass(probabilities: ndarray, which: ndarray) -> float:
    """Return the probability of these responses, [prompts, R], mean over prompts."""
    return float((probabilities * which).sum(1).mean())


def at_optimum(frontiers: Frontiers, kl: float, weights: ndarray | None) -> dict[str, float | None]:
    """Return the tokens of the optimum at this KL, and how much it and a policy say of its modes.

    weights: the policy's probabilities [prompts, R] of all responses, where they are listed: else
    there are no modes. None beyond the KL to which the frontier can be trusted.
    """
    found: dict[str, float | None] = {"optimum_tokens": frontiers.reward.at_kl(kl, frontiers.tokens)}
    found |= {"mode_mass": None, "optimum_mode_mass": None}
    if weights is not None and found["optimum_tokens"] is not None:
        optimum, _ = frontiers.reward.tilt(frontiers.reward.beta(kl))
        which = modes(optimum)
        found |= {"mode_mass": mass(weights, which), "optimum_mode_mass": mass(optimum, which)}
    return found

"""The optimal policy at a policy's KL: its length, and its modes."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from bench.evaluation.optimal.frontier import Frontiers

# Share of the optimal policy's probability that its modes hold.
HELD = 0.5


def modes(optimum: ndarray) -> ndarray:
    """Return the modes of a policy: for each prompt the fewest responses that hold half of it.

    Args:
        optimum: Probabilities of all responses, [prompts, R].

    Returns:
        Whether each response is a mode, [prompts, R], bool.
    """
    order = np.argsort(-optimum, axis=1, kind="stable")
    ranked = np.take_along_axis(optimum, order, axis=1)
    before = np.cumsum(ranked, axis=1) - ranked
    is_mode = np.zeros(optimum.shape, dtype=bool)
    np.put_along_axis(is_mode, order, before < HELD, axis=1)
    return is_mode


def mass(probabilities: ndarray, selected: ndarray) -> float:
    """Return the probability of the selected responses, mean over prompts.

    Args:
        probabilities: [prompts, R].
        selected: [prompts, R], bool.
    """
    return float((probabilities * selected).sum(1).mean())


def at_optimum(frontiers: Frontiers, kl: float, weights: ndarray | None) -> dict[str, float | None]:
    """Compare a policy with the optimal policy at the same KL.

    Args:
        frontiers: Those of the pipeline.
        kl: The policy's KL to the reference (nats).
        weights: The policy's probabilities of all responses, [prompts, R]; None where they are not
            listed.

    Returns:
        optimum_tokens: mean length of the optimal policy's responses. mode_mass and
        optimum_mode_mass: the probability of its modes under the policy and under itself. Each is
        None where it is unknown: all beyond the KL to which the frontier can be trusted, the last
        two without weights.
    """
    frontier = frontiers.reward
    tokens = frontier.at_kl(kl, frontiers.tokens)
    metrics: dict[str, float | None] = {
        "optimum_tokens": tokens,
        "mode_mass": None,
        "optimum_mode_mass": None,
    }
    if weights is not None and tokens is not None:
        optimum, _ = frontier.tilt(frontier.beta(kl))
        is_mode = modes(optimum)
        metrics["mode_mass"] = mass(weights, is_mode)
        metrics["optimum_mode_mass"] = mass(optimum, is_mode)
    return metrics

"""The modes: the few responses that hold most of what gold's optimum says."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

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

"""How often one list of rewards beats another."""

from __future__ import annotations

import numpy as np
from numpy import ndarray


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

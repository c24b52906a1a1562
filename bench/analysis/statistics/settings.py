"""What the settings of a method are worth together."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np


def collapses(gains: Sequence[float]) -> int:
    """Return how many runs ended below their start: their gain is below 0, or not known."""
    return sum(not gain >= 0 for gain in gains)


def best_of_k(validation: Sequence[float], test: Sequence[float]) -> list[float]:
    """Return, for k = 1 to n, the test reward to expect had k of the n settings been tried.

    The k settings are drawn without replacement and the one with the highest validation reward is
    taken: the i-th from below in C(i - 1, k - 1) of the C(n, k) draws. Settings that tie share it.

    Args:
        validation: Validation reward of each setting.
        test: Test reward of each setting.
    """
    n = len(validation)
    order = np.argsort(validation, kind="stable")
    rewards = np.asarray(test, dtype=float)[order]
    _, tie = np.unique(np.asarray(validation)[order], return_inverse=True)
    rewards = np.array([rewards[tie == group].mean() for group in tie])
    return [
        float(sum(comb(i, k - 1) * rewards[i] for i in range(n)) / comb(n, k))
        for k in range(1, n + 1)
    ]


def reward_within(
    kls: Sequence[float], validation: Sequence[float], test: Sequence[float], budget: float
) -> float:
    """Return the test reward of the setting that validation would select within a KL budget.

    Args:
        kls: KL of each setting (nats).
        validation: Validation reward of each setting.
        test: Test reward of each setting.
        budget: The largest KL allowed (nats).

    Returns:
        nan where no setting's KL is within the budget.
    """
    within = [
        (validation_reward, test_reward)
        for kl, validation_reward, test_reward in zip(kls, validation, test, strict=True)
        if kl <= budget
    ]
    return max(within)[1] if within else float("nan")


def area_share(
    points: Sequence[tuple[float, float]], frontier: Sequence[tuple[float, float]], start: float
) -> float:
    """Return the area under a method's frontier as a share of that under the optimal one.

    Both areas are above the SFT policy's reward and end at the largest KL of the optimal frontier.
    A method's frontier is the best reward within each KL budget, the SFT policy's where no
    setting is within it.

    Args:
        points: KL and reward of each setting.
        frontier: KL and reward along the optimal frontier.
        start: Reward of the SFT policy.

    Returns:
        nan where there is nothing to gain.
    """
    kls, rewards = np.array(frontier, dtype=float).T
    grid = np.linspace(0.0, kls[-1], 2001)
    best = np.full_like(grid, start)
    for kl, reward in points:
        best[grid >= kl] = np.maximum(best[grid >= kl], reward)
    whole = np.trapezoid(np.interp(grid, kls, rewards) - start, grid)
    return float(np.trapezoid(best - start, grid) / whole) if whole > 1e-9 else float("nan")

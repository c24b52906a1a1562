"""A small random task as arrays, and errors of one optimal frontier against another."""

from __future__ import annotations

import math

import numpy as np

from bench.evaluation.optimal.frontier import OptimalFrontier

# Where frontiers are compared, as shares of the KL up to which they are trusted.
STEPS = np.linspace(0.02, 1, 25)


def random_responses() -> tuple[np.ndarray, np.ndarray]:
    """Return random rewards and reference log-probabilities of all responses, [3, 200] each."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(3, 200))
    return random.normal(size=(3, 200)), logits - np.log(np.exp(logits).sum(1, keepdims=True))


def gains(frontier: OptimalFrontier, kls: list[float]) -> list[float]:
    """Return the optimal gain over the reference at each KL."""
    start = frontier.reference_reward()
    return [float(frontier.reward(kl) or math.nan) - start for kl in kls]


def errors(frontier: OptimalFrontier, truth: OptimalFrontier) -> list[float]:
    """Return the relative errors of the optimal gain, all along the frontier."""
    kls = [kl for kl in STEPS * frontier.largest_kl if 0 < kl <= truth.largest_kl]
    pairs = zip(gains(frontier, kls), gains(truth, kls), strict=True)
    return [estimated / true - 1 for estimated, true in pairs]

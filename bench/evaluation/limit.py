"""The limit: the best expected reward that any policy can have at a KL from the reference.

R*(k) = min over beta of beta (k + mean over prompts of log Z_beta), Z_beta = E_ref[exp(r / beta)]:
one beta for all prompts, as the KL is a mean over them. From a list of all responses it is exact.
From samples of the reference it falls short (by 1% at 4 nats with 4,096 samples), so it is given
only to k = log n - 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy import ndarray
from scipy.optimize import minimize_scalar
from scipy.special import softmax

RELIABLE = 3.0
SMALLEST_BETA = 1e-3
COARSE = 60


@dataclass(frozen=True)
class Limit:
    """rewards: [prompts, responses]; log_weights: their reference log-probabilities, or -log n.

    largest_kl: as far as the limit can be trusted (nats).
    """

    rewards: ndarray
    log_weights: ndarray
    largest_kl: float

    @classmethod
    def from_samples(cls, rewards: ndarray) -> Limit:
        """Build it from the rewards [prompts, n] of samples of the reference."""
        n = rewards.shape[1]
        return cls(rewards, np.full_like(rewards, -np.log(n)), float(np.log(n)) - RELIABLE)

    @classmethod
    def from_list(cls, rewards: ndarray, reference_logprobs: ndarray) -> Limit:
        """Build it from all responses [prompts, R]."""
        limit = cls(rewards, reference_logprobs, np.inf)
        return cls(rewards, reference_logprobs, 0.98 * limit.kl(SMALLEST_BETA))

    def tilt(self, beta: float) -> tuple[ndarray, float]:
        """Return the optimum's probabilities [prompts, R], ref exp(r / beta) / Z, and mean log Z.

        In one pass over the rewards: curves take many.
        """
        exponents = self.rewards / beta + self.log_weights
        largest = exponents.max(axis=1, keepdims=True)
        weights = np.exp(exponents - largest)
        z = weights.sum(axis=1, keepdims=True)
        return weights / z, float((np.log(z) + largest).mean())

    def log_z(self, beta: float) -> float:
        """Return the mean over prompts of log Z_beta."""
        return self.tilt(beta)[1]

    def optimum(self, beta: float) -> float:
        """Return J* = beta log Z_beta, the largest E[r] - beta KL."""
        return beta * self.log_z(beta)

    def kl(self, beta: float) -> float:
        """Return the KL of the optimum at beta (nats)."""
        return self.point(beta)[0]

    def point(self, beta: float) -> tuple[float, float]:
        """Return KL (nats) and reward of the optimum at beta: a point of the limit."""
        probabilities, log_z = self.tilt(beta)
        reward = float((probabilities * self.rewards).sum(1).mean())
        return reward / beta - log_z, reward

    def reference_reward(self) -> float:
        """Return the reward of the reference itself."""
        return float((softmax(self.log_weights, axis=1) * self.rewards).sum(1).mean())

    def reward(self, kl: float) -> float | None:
        """Return R*(kl), or None beyond what can be trusted."""
        if not 0 <= kl <= self.largest_kl:
            return None
        if kl == 0:
            return self.reference_reward()
        best = minimize_scalar(
            lambda log_beta: float(np.exp(log_beta)) * (kl + self.log_z(float(np.exp(log_beta)))),
            bounds=(np.log(SMALLEST_BETA), np.log(1e3)),
            method="bounded",
            options={"xatol": 1e-6},
        )
        return float(best.fun)

    def efficiency(self, reward: float, kl: float) -> float | None:
        """Return the gain over the reference as a share of the limit's at the same KL."""
        limit = self.reward(kl)
        start = self.reference_reward()
        if limit is None or limit - start < 1e-9:
            return None
        return (reward - start) / (limit - start)

    def curve(self, points: int = 40, largest: float = 8.0) -> list[tuple[float, float]]:
        """Return (kl, reward) along the limit, denser where it bends most.

        Each point is the optimum at a beta, found by interpolation instead of a search for each.
        """
        start, top = self.reference_reward(), min(self.largest_kl, largest)
        reach = min(top, self.kl(SMALLEST_BETA))
        if reach < 1e-9:  # all responses are worth the same
            return [(0.0, start), (top, start)]
        sharpness = np.geomspace(1e-3, 1 / SMALLEST_BETA, COARSE)
        kls = np.maximum.accumulate([max(0.0, self.kl(1 / x)) for x in sharpness])
        wanted = reach * np.linspace(0, 1, points)[1:-1] ** 2
        betas = 1 / np.exp(np.interp(np.sqrt(wanted), np.sqrt(kls), np.log(sharpness)))
        line = [(0.0, start), *(self.point(float(beta)) for beta in betas)]
        # Where many samples share the highest reward, the limit is flat beyond their share.
        ends = dict.fromkeys((reach, top))
        return line + [(kl, self.reward(kl) or 0.0) for kl in ends]

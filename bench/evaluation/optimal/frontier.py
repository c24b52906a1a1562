"""The frontier: the best expected reward that any policy can have at a KL from the reference.

R*(k) = min over beta of beta (k + mean over prompts of log Z_beta), Z_beta = E_ref[exp(r / beta)]:
one beta for all prompts, as the KL is a mean over them. From a list of all responses it is exact.
From samples it is an estimate, given only as far as it can be trusted to 2% of the gain over the
reference, which was measured where the truth is known (tests/test_truth.py): see `is_trusted`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy import ndarray
from scipy.optimize import brentq
from scipy.special import log_softmax, logsumexp

# Samples of the reference alone tell nothing beyond log n - 3 nats.
RELIABLE = 3.0
TOLERANCE = 0.02
STANDARD_ERRORS = 2.0
FEWEST_EFFECTIVE = 5.0
SMALLEST_BETA, LARGEST_BETA = 1e-3, 1e3
COARSE = 60


class Point(NamedTuple):
    """A point of the frontier: KL (nats), reward, and on how many effective samples it rests."""

    kl: float
    reward: float
    effective_samples: float


class Frontiers(NamedTuple):
    """What is known of a pipeline's best policies, all from the same responses [prompts, R].

    Attributes:
        reward: The optimal frontier of the reward that policies are measured by.
        proxy_reward: That of the learned reward.
        tokens: The responses' lengths, [prompts, R].
    """

    reward: OptimalFrontier
    proxy_reward: OptimalFrontier
    tokens: ndarray


@dataclass(frozen=True)
class OptimalFrontier:
    """rewards: [prompts, R]; log_weights: what each response stands for of the reference, summing
    to 1 for each prompt.

    farthest: the KL (nats) beyond which such samples tell nothing, whatever the reward.
    listed: these are all responses there are.
    """

    rewards: ndarray
    log_weights: ndarray
    farthest: float
    listed: bool = False

    @classmethod
    def from_samples(cls, rewards: ndarray) -> OptimalFrontier:
        """Build it from the rewards [prompts, n] of samples of the reference."""
        n = rewards.shape[1]
        return cls(rewards, np.full(rewards.shape, -np.log(n)), float(np.log(n)) - RELIABLE)

    @classmethod
    def from_mixture(cls, rewards: ndarray, logprobs: ndarray, counts: Sequence[int]) -> OptimalFrontier:
        """Build it from samples of the reference and of other policies.

        rewards: [prompts, N], the reference's samples first, then each policy's; counts: how many
        of each; logprobs: [policies, prompts, N], of all samples under each, the reference first.
        Each stands for ref / mixture (the balance heuristic: Veach and Guibas, 1995), and
        these are made to sum to 1, or log Z would not tend to 0 as beta grows. It reaches no
        further than the policy that moved furthest: beyond, nobody has looked.
        """
        shares = np.log(np.array(counts) / sum(counts))[:, None, None]
        ratio = logprobs[0] - logsumexp(logprobs + shares, axis=0)
        starts = np.cumsum([0, *counts])
        moved = [
            float((own[:, start:stop] - logprobs[0, :, start:stop]).mean())
            for own, start, stop in zip(logprobs, starts[:-1], starts[1:], strict=True)
        ]
        farthest = max(float(np.log(counts[0])) - RELIABLE, *moved)
        return cls(rewards, log_softmax(ratio, axis=1), farthest)

    @classmethod
    def from_list(cls, rewards: ndarray, reference_logprobs: ndarray) -> OptimalFrontier:
        """Build it from all responses [prompts, R]."""
        return cls(rewards, reference_logprobs, np.inf, listed=True)

    def of(self, rewards: ndarray) -> OptimalFrontier:
        """Return the frontier of another reward of the same responses."""
        return replace(self, rewards=rewards)

    @cached_property
    def largest_kl(self) -> float:
        """As far as the frontier can be trusted (nats)."""
        if self.listed:
            return 0.98 * self._end
        return max(0.0, min(self.farthest, self._trusted_to()))

    @cached_property
    def _end(self) -> float:
        """The KL from which on the reward is the largest there is."""
        return self.kl(SMALLEST_BETA)

    @cached_property
    def _weights(self) -> ndarray:
        return np.exp(self.log_weights)

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
        return self.point(beta).kl

    def point(self, beta: float) -> Point:
        """Return the optimum at beta as a point of the frontier."""
        probabilities, log_z = self.tilt(beta)
        reward = float((probabilities * self.rewards).sum(1).mean())
        return Point(reward / beta - log_z, reward, effective_samples(probabilities))

    def reference_reward(self) -> float:
        """Return the reward of the reference itself."""
        return float((self._weights * self.rewards).sum(1).mean())

    def is_trusted(self, beta: float) -> bool:
        """Return whether samples suffice at beta: for 5 effective ones, and an error within 2%.

        The error is that of the gain over the reference: two standard errors and the bias, both
        by the delta method, which needs some effective samples to be right itself.
        """
        optimum, _ = self.tilt(beta)
        if effective_samples(optimum) < FEWEST_EFFECTIVE:
            return False
        shift = optimum - self._weights
        gain = float((shift * self.rewards).sum(1).mean())
        start = (self._weights * self.rewards).sum(1, keepdims=True)
        # What each sample adds to beta log Z, less what it adds to the reference's reward.
        influence = beta * shift - self._weights * (self.rewards - start)
        standard_error = float(np.sqrt((influence**2).sum())) / len(self.rewards)
        bias = 0.5 * beta * float((shift**2).sum(1).mean())
        return bool(bias + STANDARD_ERRORS * standard_error <= TOLERANCE * gain + 1e-9)

    def _trusted_to(self) -> float:
        """Return the KL up to which every beta is trusted."""
        sharpness = np.geomspace(1 / LARGEST_BETA, 1 / SMALLEST_BETA, COARSE)
        failing = next((i for i, x in enumerate(sharpness) if not self.is_trusted(1 / x)), None)
        if failing is None:
            return np.inf
        if failing == 0:
            return 0.0
        low, high = sharpness[failing - 1 : failing + 1]
        for _ in range(12):
            middle = np.sqrt(low * high)
            low, high = (middle, high) if self.is_trusted(1 / middle) else (low, middle)
        return self.kl(float(1 / low))

    def beta(self, kl: float) -> float:
        """Return the beta whose optimum has this KL."""
        if kl >= self._end:
            return SMALLEST_BETA
        if kl <= self.kl(LARGEST_BETA):
            return LARGEST_BETA
        ends = np.log(SMALLEST_BETA), np.log(LARGEST_BETA)
        return float(np.exp(brentq(lambda x: self.kl(float(np.exp(x))) - kl, *ends)))

    def reward(self, kl: float) -> float | None:
        """Return R*(kl), or None beyond what can be trusted."""
        if not 0 <= kl <= self.largest_kl:
            return None
        if kl == 0:
            return self.reference_reward()
        if kl >= self._end:
            return self.point(SMALLEST_BETA).reward
        # By the dual, which an error in beta hardly moves.
        beta = self.beta(kl)
        return beta * (kl + self.log_z(beta))

    def at_kl(self, kl: float, values: ndarray) -> float | None:
        """Return the expectation of values [prompts, R] under the best policy at this KL.

        None beyond what can be trusted.
        """
        if not 0 <= kl <= self.largest_kl:
            return None
        probabilities = self._weights if kl == 0 else self.tilt(self.beta(kl))[0]
        return float((probabilities * values).sum(1).mean())

    def efficiency(self, reward: float, kl: float) -> float | None:
        """Return the gain over the reference as a share of the frontier's at the same KL."""
        frontier = self.reward(kl)
        start = self.reference_reward()
        if frontier is None or frontier - start < 1e-9:
            return None
        return (reward - start) / (frontier - start)

    def curve(self, points: int = 40, largest: float = 8.0) -> list[Point]:
        """Return points along the frontier, denser where it bends most; none where none is trusted.

        Each is the optimum at a beta, found by interpolation instead of a search for each.
        """
        # A hair less, so that no rounding in a file carries it beyond.
        top = min(self.largest_kl, largest) * (1 - 1e-7)
        first = Point(0.0, self.reference_reward(), effective_samples(self._weights))
        if top <= 0:
            return []
        reach = min(top, self._end)
        if reach < 1e-9:  # all responses are worth the same
            return [first, first._replace(kl=top)]
        sharpness = np.geomspace(1 / LARGEST_BETA, 1 / SMALLEST_BETA, COARSE)
        kls = np.maximum.accumulate([max(0.0, self.kl(1 / x)) for x in sharpness])
        wanted = reach * np.linspace(0, 1, points)[1:-1] ** 2
        betas = 1 / np.exp(np.interp(np.sqrt(wanted), np.sqrt(kls), np.log(sharpness)))
        line = [first, *(self.point(float(beta)) for beta in betas)]
        # Where many samples share the highest reward, the frontier is flat beyond their share.
        ends = [self.point(self.beta(kl))._replace(kl=kl) for kl in dict.fromkeys((reach, top))]
        return [point for point in line if point.kl < reach] + ends


def effective_samples(probabilities: ndarray) -> float:
    """Return on how many samples a prompt's estimate rests; probabilities: [prompts, R].

    Kish's 1 / sum of squares for each prompt, and their harmonic mean: errors of a mean of log Z
    add up as the inverses do.
    """
    return float(1 / (probabilities**2).sum(1).mean())

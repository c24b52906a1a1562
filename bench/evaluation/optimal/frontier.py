"""The optimal frontier: the best expected reward that any policy can have at a KL to the reference.

The policy with the largest E[r] - beta KL is ref exp(r / beta) / Z_beta, with Z_beta =
E_ref[exp(r / beta)] for each prompt (Korbak et al., 2022), and by duality the frontier is

    R*(k) = min over beta of beta (k + mean over prompts of log Z_beta).

One beta serves all prompts, as the KL is a mean over prompts. From a list of all responses the
frontier is exact. From samples it is an estimate, given only up to the KL where its error is within
2% of the gain over the reference: see `OptimalFrontier.is_trusted`. The tests compare it with the
truth by enumeration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy import ndarray
from scipy.optimize import brentq

from bench.evaluation.optimal.weighting import (
    balance_heuristic,
    effective_samples,
    sampled_kls,
)

# From n samples of the reference alone, no estimate is given beyond log n - MARGIN nats.
MARGIN = 3.0
# The largest error of a trusted estimate, as a share of the gain over the reference.
TOLERANCE = 0.02
# How many standard errors count as its sampling error.
STANDARD_ERRORS = 2.0
# The fewest effective samples of a trusted estimate.
FEWEST_EFFECTIVE = 5.0
SMALLEST_BETA, LARGEST_BETA = 1e-3, 1e3
# Points of the grid of 1 / beta between them, logarithmic.
GRID_POINTS = 60


class Point(NamedTuple):
    """A point of the optimal frontier.

    Attributes:
        kl: KL to the reference (nats).
        reward: The best expected reward at this KL.
        effective_samples: How many samples per prompt the estimate rests on; see
            `effective_samples`.
    """

    kl: float
    reward: float
    effective_samples: float


class Frontiers(NamedTuple):
    """The optimal frontiers of a pipeline, all from the same responses.

    Attributes:
        reward: The frontier of the reward that policies are measured by.
        proxy_reward: The frontier of the proxy reward.
        tokens: Lengths of the responses, [prompts, R].
    """

    reward: OptimalFrontier
    proxy_reward: OptimalFrontier
    tokens: ndarray


@dataclass(frozen=True)
class OptimalFrontier:
    """The optimal frontier of a reward, from a list or a weighted sample of responses.

    Attributes:
        rewards: Of the responses, [prompts, R].
        log_weights: Log of the share of the reference that each response stands for, [prompts, R];
            the shares sum to 1 for each prompt.
        farthest: The largest KL for which an estimate is given, whatever the reward (nats).
        listed: Whether these are all responses, so that nothing is estimated.
    """

    rewards: ndarray
    log_weights: ndarray
    farthest: float
    listed: bool = False

    @classmethod
    def from_samples(cls, rewards: ndarray) -> OptimalFrontier:
        """Estimate the frontier from the rewards of samples of the reference, [prompts, n]."""
        n = rewards.shape[1]
        return cls(rewards, np.full(rewards.shape, -np.log(n)), float(np.log(n)) - MARGIN)

    @classmethod
    def from_pooled_samples(
        cls, rewards: ndarray, logprobs: ndarray, counts: Sequence[int]
    ) -> OptimalFrontier:
        """Estimate the frontier from samples of the reference pooled with those of other policies.

        The weights sum to 1, or log Z would not tend to 0 as beta grows. The estimate reaches no
        further than the policy that moved furthest: there are no samples beyond.

        Args:
            rewards: [prompts, N], the reference's samples first, then those of each policy.
            logprobs: Of all samples under each policy, [policies, prompts, N], the reference first.
            counts: Samples per prompt of each policy, [policies], the reference first.
        """
        farthest = max(float(np.log(counts[0])) - MARGIN, *sampled_kls(logprobs, counts))
        return cls(rewards, balance_heuristic(logprobs, counts), farthest)

    @classmethod
    def from_list(cls, rewards: ndarray, reference_logprobs: ndarray) -> OptimalFrontier:
        """Compute the frontier from all responses.

        Args:
            rewards: [prompts, R].
            reference_logprobs: [prompts, R] (nats).
        """
        return cls(rewards, reference_logprobs, np.inf, listed=True)

    def of(self, rewards: ndarray) -> OptimalFrontier:
        """Return the frontier of another reward, [prompts, R], of the same responses."""
        return replace(self, rewards=rewards)

    @cached_property
    def largest_kl(self) -> float:
        """The KL up to which the frontier can be trusted (nats): any, if nothing is estimated."""
        if self.listed:
            return np.inf
        return max(0.0, min(self.farthest, self._trusted_to()))

    @cached_property
    def _end(self) -> float:
        """The KL from which on the frontier is flat: the reward is the largest that exists."""
        return self.kl(SMALLEST_BETA)

    @cached_property
    def _weights(self) -> ndarray:
        return np.exp(self.log_weights)

    def tilt(self, beta: float) -> tuple[ndarray, float]:
        """Return the optimal policy at a beta, in one pass over the rewards.

        Args:
            beta: The KL strength, in units of reward per nat.

        Returns:
            The policy's probabilities ref exp(r / beta) / Z, [prompts, R], and the mean of log Z.
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
        """Return J*, the largest E[r] - beta KL, which is beta log Z_beta."""
        return beta * self.log_z(beta)

    def kl(self, beta: float) -> float:
        """Return the KL of the optimal policy at beta (nats)."""
        return self.point(beta).kl

    def point(self, beta: float) -> Point:
        """Return the optimal policy at beta as a point of the frontier."""
        probabilities, log_z = self.tilt(beta)
        reward = float((probabilities * self.rewards).sum(1).mean())
        return Point(reward / beta - log_z, reward, effective_samples(probabilities))

    def reference_reward(self) -> float:
        """Return the expected reward of the reference."""
        return float((self._weights * self.rewards).sum(1).mean())

    def is_trusted(self, beta: float) -> bool:
        """Return whether the samples suffice for an estimate at beta.

        They do with at least 5 effective samples, and where two standard errors plus the bias of
        the gain over the reference are within 2% of the gain. Both come from the delta method,
        which itself needs some effective samples.
        """
        optimum, _ = self.tilt(beta)
        if effective_samples(optimum) < FEWEST_EFFECTIVE:
            return False
        shift = optimum - self._weights
        gain = float((shift * self.rewards).sum(1).mean())
        start = (self._weights * self.rewards).sum(1, keepdims=True)
        # Influence of each sample on beta log Z less its influence on the reference's reward.
        influence = beta * shift - self._weights * (self.rewards - start)
        standard_error = float(np.sqrt((influence**2).sum())) / len(self.rewards)
        bias = 0.5 * beta * float((shift**2).sum(1).mean())
        return bool(bias + STANDARD_ERRORS * standard_error <= TOLERANCE * gain + 1e-9)

    def _trusted_to(self) -> float:
        """Return the KL up to which the estimate at every beta is trusted (nats)."""
        sharpness = np.geomspace(1 / LARGEST_BETA, 1 / SMALLEST_BETA, GRID_POINTS)
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
        """Return the beta whose optimal policy has this KL."""
        if kl >= self._end:
            return SMALLEST_BETA
        if kl <= self.kl(LARGEST_BETA):
            return LARGEST_BETA
        ends = np.log(SMALLEST_BETA), np.log(LARGEST_BETA)
        return float(np.exp(brentq(lambda x: self.kl(float(np.exp(x))) - kl, *ends)))

    def reward(self, kl: float) -> float | None:
        """Return the best expected reward at a KL, R*(kl).

        Args:
            kl: KL to the reference (nats).

        Returns:
            None beyond the KL to which the frontier can be trusted.
        """
        if not 0 <= kl <= self.largest_kl:
            return None
        if kl == 0:
            return self.reference_reward()
        if kl >= self._end:
            return self.point(SMALLEST_BETA).reward
        # The dual has a minimum in beta here, so an error in beta hardly changes it.
        beta = self.beta(kl)
        return beta * (kl + self.log_z(beta))

    def at_kl(self, kl: float, values: ndarray) -> float | None:
        """Return the expectation of a quantity under the optimal policy at a KL.

        Args:
            kl: KL to the reference (nats).
            values: The quantity for each response, [prompts, R].

        Returns:
            None beyond the KL to which the frontier can be trusted.
        """
        if not 0 <= kl <= self.largest_kl:
            return None
        probabilities = self._weights if kl == 0 else self.tilt(self.beta(kl))[0]
        return float((probabilities * values).sum(1).mean())

    def efficiency(self, reward: float, kl: float) -> float | None:
        """Return a policy's gain over the reference as a share of the optimal gain at its KL.

        Args:
            reward: The policy's expected reward.
            kl: Its KL to the reference (nats).

        Returns:
            None where the optimal gain is 0, or unknown.
        """
        optimal = self.reward(kl)
        start = self.reference_reward()
        if optimal is None or optimal - start < 1e-9:
            return None
        return (reward - start) / (optimal - start)

    def curve(self, points: int = 40, largest: float = 8.0) -> list[Point]:
        """Return points along the frontier, denser at small KL, where it bends most.

        The betas of the points are interpolated on a grid, which is faster than a search for each.

        Args:
            points: How many points, about.
            largest: The largest KL (nats).

        Returns:
            An empty list where no estimate can be trusted.
        """
        # Slightly less, so that rounding in a file does not move the last point beyond.
        top = min(self.largest_kl, largest) * (1 - 1e-7)
        first = Point(0.0, self.reference_reward(), effective_samples(self._weights))
        if top <= 0:
            return []
        reach = min(top, self._end)
        if reach < 1e-9:  # All responses have the same reward.
            return [first, first._replace(kl=top)]
        sharpness = np.geomspace(1 / LARGEST_BETA, 1 / SMALLEST_BETA, GRID_POINTS)
        kls = np.maximum.accumulate([max(0.0, self.kl(1 / x)) for x in sharpness])
        wanted = reach * np.linspace(0, 1, points)[1:-1] ** 2
        betas = 1 / np.exp(np.interp(np.sqrt(wanted), np.sqrt(kls), np.log(sharpness)))
        line = [first, *(self.point(float(beta)) for beta in betas)]
        # Where many samples share the highest reward, the frontier is flat at the end.
        ends = [self.point(self.beta(kl))._replace(kl=kl) for kl in dict.fromkeys((reach, top))]
        return [point for point in line if point.kl < reach] + ends

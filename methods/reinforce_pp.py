"""REINFORCE++ (Hu, 2025): PPO's clipped loss without a critic, its advantages whitened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Paper
from methods.toolkit.policy_gradient import (
    PolicyGradient,
    Rollout,
    Tensor,
    clipped_surrogate,
    rewards_to_go,
    token_rewards,
    whiten,
)


@dataclass(frozen=True)
class ReinforcePP(PolicyGradient):
    """REINFORCE++.

    A token's advantage is the reward of its response minus kl_coef times the sum of the log-ratios
    from that token on, whitened over the batch: equations 3 and 4 of Hu (2025).
    """

    paper: ClassVar = Paper("Hu, 2025", "https://arxiv.org/abs/2501.03262")

    def advantages(self, rollout: Rollout) -> Tensor:
        log_ratios, mask = rollout.token_log_ratios, rollout.mask
        rewards = token_rewards(rollout.rewards, log_ratios, mask, self.kl_coef)
        return whiten(rewards_to_go(rewards, mask), mask)

    def loss(self, logprobs: Tensor, rollout: Rollout) -> Tensor:
        return clipped_surrogate(logprobs, rollout.logprobs, rollout.advantages, self.clip)

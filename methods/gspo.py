"""GSPO (Zheng et al., 2025): GRPO with one probability ratio for each response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge

from methods.base import Paper, Positive
from methods.toolkit.policy_gradient import (
    PolicyGradient,
    Rollout,
    Tensor,
    clipped_surrogate,
    group_advantages,
    kl_estimate,
    policy_metrics,
)


@dataclass(frozen=True)
class GSPO(PolicyGradient):
    """Group sequence policy optimization.

    A reward belongs to a whole response, so one ratio for each response is clipped: the geometric
    mean of the ratios of its tokens, s = exp(mean log-ratio of new to old policy). The advantage is
    that of GRPO (Zheng et al., 2025, equations 5 to 7).

    The paper has no KL term. GRPO's is kept here, so that there is a KL strength. The paper's clip
    range, 0.0003 to 0.0004, is for responses of thousands of tokens.

    Attributes:
        kl_coef: Coefficient of the KL term, in units of advantage per nat and token.
        group: Responses to each prompt.
        clip: How far the ratio of a response may fall below 1.
        clip_high: How far the ratio of a response may rise above 1.
    """

    paper: ClassVar = Paper("Zheng et al., 2025", "https://arxiv.org/abs/2507.18071")
    strength_is_kl: ClassVar = False
    grid: ClassVar = {"kl_coef": [0.1, 0.2, 0.3, 0.45, 0.7]}
    over: ClassVar = "responses"

    learning_rate: Positive = 7e-4
    group: Annotated[int, Ge(2)] = 8
    clip: Positive = 0.1
    clip_high: Positive = 0.13

    def advantages(self, rollout: Rollout) -> Tensor:
        return group_advantages(rollout.rewards, self.group, scale=True)

    def loss(self, logprobs: Tensor, rollout: Rollout) -> Tensor:
        new, old = self.means(logprobs, rollout.mask), self.means(rollout.logprobs, rollout.mask)
        losses = clipped_surrogate(new, old, rollout.advantages, self.clip, self.clip_high)
        return losses + self.kl_coef * kl_estimate(logprobs, rollout.reference_logprobs)

    def metrics(self, logprobs: Tensor, rollout: Rollout) -> dict[str, Tensor]:
        new, old = self.means(logprobs, rollout.mask), self.means(rollout.logprobs, rollout.mask)
        return policy_metrics(new, old, rollout.mask, self.clip, self.clip_high)

    def means(self, logprobs: Tensor, mask: Tensor) -> Tensor:
        """Return the mean over the tokens of each response, at every token, [B, T]."""
        means = logprobs.sum(1, keepdim=True) / mask.sum(1, keepdim=True)
        return means.expand_as(logprobs)

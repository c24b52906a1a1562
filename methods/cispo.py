"""CISPO (MiniMax, 2025): REINFORCE with clipped importance weights, so that no token is dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge

from methods.base import Paper, Positive
from methods.toolkit.policy_gradient import (
    PolicyGradient,
    Rollout,
    Tensor,
    group_advantages,
    kl_estimate,
    policy_metrics,
)


@dataclass(frozen=True)
class CISPO(PolicyGradient):
    """Clipped importance sampling policy optimization.

    PPO's loss has no gradient at a token whose ratio is clipped. CISPO clips the importance weight
    instead, and stops its gradient: the loss is -sg(min(ratio, 1 + clip_high)) A log p, with the
    advantage of GRPO and a mean over all tokens (MiniMax, 2025, equations 4 and 5). As in the
    paper's experiments, the weight has no lower limit.

    The paper has no KL term. GRPO's is kept here, so that there is a KL strength.

    Attributes:
        kl_coef: Coefficient of the KL term, in units of advantage per nat and token.
        group: Responses to each prompt.
        clip_high: How far an importance weight may rise above 1.
    """

    paper: ClassVar = Paper("MiniMax, 2025", "https://arxiv.org/abs/2506.13585")
    strength_is_kl: ClassVar = False
    grid: ClassVar = {"kl_coef": [0.1, 0.2, 0.3, 0.45, 0.7]}

    learning_rate: Positive = 7e-4
    group: Annotated[int, Ge(2)] = 8
    clip_high: Positive = 1.0

    def advantages(self, rollout: Rollout) -> Tensor:
        return group_advantages(rollout.rewards, self.group, scale=True)

    def loss(self, logprobs: Tensor, rollout: Rollout) -> Tensor:
        weights = (logprobs - rollout.logprobs).exp().clamp(max=1 + self.clip_high).detach()
        losses = -weights * rollout.advantages * logprobs
        return losses + self.kl_coef * kl_estimate(logprobs, rollout.reference_logprobs)

    def metrics(self, logprobs: Tensor, rollout: Rollout) -> dict[str, Tensor]:
        return policy_metrics(logprobs, rollout.logprobs, rollout.mask, 1.0, self.clip_high)

"""Dr. GRPO (Liu et al., 2025): GRPO without its divisions by spread and length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge

from methods.base import NonNegative, Paper, Positive
from methods.toolkit.policy_gradient import (
    PolicyGradient,
    Rollout,
    Tensor,
    clipped_surrogate,
    group_advantages,
    kl_estimate,
)


@dataclass(frozen=True)
class DrGRPO(PolicyGradient):
    """GRPO done right.

    GRPO divides advantages by the standard deviation of the group, which favors prompts that are
    very easy or very hard, and losses by the length of the response, which favors long wrong
    responses. Dr. GRPO does neither: the advantage of a response is r - mean, and token losses are
    summed and divided by a constant (Liu et al., 2025, section 3.2).

    The paper drops the KL term. GRPO's is kept here, so that there is a KL strength.

    Attributes:
        kl_coef: Coefficient of the KL term, in units of reward per nat.
        group: Responses to each prompt.
    """

    paper: ClassVar = Paper("Liu et al., 2025", "https://arxiv.org/abs/2503.20783")
    strength_is_kl: ClassVar = False
    grid: ClassVar = {"kl_coef": [0.02, 0.05, 0.1, 0.2, 0.4]}
    over: ClassVar = "length"

    learning_rate: Positive = 7e-4
    kl_coef: NonNegative = 0.1
    group: Annotated[int, Ge(2)] = 8

    def advantages(self, rollout: Rollout) -> Tensor:
        return group_advantages(rollout.rewards, self.group, scale=False)

    def loss(self, logprobs: Tensor, rollout: Rollout) -> Tensor:
        losses = clipped_surrogate(logprobs, rollout.logprobs, rollout.advantages, self.clip)
        return losses + self.kl_coef * kl_estimate(logprobs, rollout.reference_logprobs)

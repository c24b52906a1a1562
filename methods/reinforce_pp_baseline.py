"""REINFORCE++-Baseline (Hu, 2025): REINFORCE++ with the mean of the group as the baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge

from methods.reinforce_pp import ReinforcePP
from methods.toolkit.policy_gradient import Rollout, Tensor, group_advantages, whiten


@dataclass(frozen=True)
class ReinforcePPBaseline(ReinforcePP):
    """REINFORCE++ with the mean of the group as the baseline.

    The advantage of a response is r - mean over the responses to its prompt, whitened over the
    batch. The KL is a term of the loss and no longer part of the reward. Its estimate is half the
    squared log-ratio, whose gradient is that of the KL from policy to reference: Hu (2025), the
    section "REINFORCE++ w/ Baseline".

    Attributes:
        kl_coef: Coefficient of the KL term, in units of advantage per nat and token.
        group: Responses to each prompt.
    """

    strength_is_kl: ClassVar = False
    grid: ClassVar = {"kl_coef": [0.03, 0.1, 0.2, 0.4, 0.8]}

    group: Annotated[int, Ge(2)] = 4

    def advantages(self, rollout: Rollout) -> Tensor:
        centered = group_advantages(rollout.rewards, self.group, scale=False)
        return whiten(centered.unsqueeze(1).expand_as(rollout.logprobs), rollout.mask)

    def loss(self, logprobs: Tensor, rollout: Rollout) -> Tensor:
        penalties = 0.5 * (logprobs - rollout.reference_logprobs) ** 2
        return super().loss(logprobs, rollout) + self.kl_coef * penalties

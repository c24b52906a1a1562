"""REINFORCE with a baseline (Williams, 1992): the plain policy gradient of reward minus KL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge

from methods.base import Count, Paper, Positive
from methods.toolkit.policy_gradient import PolicyGradient, Rollout, Tensor, leave_one_out


@dataclass(frozen=True)
class Reinforce(PolicyGradient):
    """REINFORCE with a baseline.

    A response is one action. The gradient is the mean of
    (r - kl_coef * log-ratio - baseline) grad log p (Williams, 1992, theorem 1). The baseline of a
    response is the mean over the others of the batch. Each batch of fresh responses gets one step,
    so neither clipping nor importance weights are needed.
    """

    paper: ClassVar = Paper("Williams, 1992", "https://doi.org/10.1007/BF00992696")
    over: ClassVar = "length"
    grid: ClassVar = {"kl_coef": [0.02, 0.1, 0.2, 0.4, 0.8]}

    learning_rate: Positive = 2e-3
    batch_size: Annotated[int, Ge(2)] = 64
    epochs: Count = 1
    minibatches: Count = 1

    def advantages(self, rollout: Rollout) -> Tensor:
        returns = rollout.rewards - self.kl_coef * rollout.log_ratios
        return leave_one_out(returns, len(returns))

    def loss(self, logprobs: Tensor, rollout: Rollout) -> Tensor:
        return -rollout.advantages * logprobs

"""Nash-MD (Munos et al., 2023): the policy learns to win against a mixture with its reference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from annotated_types import Ge, MultipleOf

from methods.base import Count, NonNegative, Paper, Positive, Share
from methods.core.online.mixture import mixed_with
from methods.toolkit.policy_gradient import OnlineRun, PolicyGradient, Rollout, Tensor


@dataclass(frozen=True)
class NashMD(PolicyGradient):
    """Nash learning from human feedback by mirror descent.

    The policy responds to y', sampled token by token from the geometric mixture of policy and
    reference. Its gradient is (P(y > y') - 1/2 - kl_coef * log-ratio) grad log p(y), where P is
    the probability that y is preferred to y' (Munos et al., 2023, section 7, Nash-MD-PG). With
    kl_coef > 0, it converges to the Nash equilibrium of the game with a KL penalty.

    The paper learns a model of preferences. Here they follow from the reward, by Bradley-Terry.

    Attributes:
        kl_coef: Coefficient of the KL, in units of win probability per nat. The paper's tau.
        mixture: Weight of the reference in the mixture. The paper's beta.
        batch_size: Responses between updates. Half of them are from the mixture.
    """

    paper: ClassVar = Paper("Munos et al., 2023", "https://arxiv.org/abs/2312.00886")
    strength_is_kl: ClassVar = False
    over: ClassVar = "length"
    grid: ClassVar = {"kl_coef": [0.005, 0.01, 0.02, 0.04, 0.08]}

    learning_rate: Positive = 1.5e-3
    kl_coef: NonNegative = 0.02
    mixture: Share = 0.125
    batch_size: Annotated[int, Ge(2), MultipleOf(2)] = 48
    epochs: Count = 1
    minibatches: Count = 1

    def collect(self, run: OnlineRun) -> Rollout:
        prompts = run.prompts(2)
        rollout = run.collect(prompts=prompts)
        policy, reference = run.policy, run.context.reference.model
        with policy.engines.only_loop(), mixed_with(policy.model, reference, self.mixture):
            return replace(rollout, baselines=run.baselines(prompts))

    def advantages(self, rollout: Rollout) -> Tensor:
        preferred = (rollout.rewards - rollout.baselines).sigmoid()
        return preferred - 0.5 - self.kl_coef * rollout.log_ratios

    def loss(self, logprobs: Tensor, rollout: Rollout) -> Tensor:
        return -rollout.advantages * logprobs

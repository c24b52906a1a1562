"""ReMax (Li et al., 2023): REINFORCE with the reward of the greedy response as the baseline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from annotated_types import Ge, MultipleOf

from methods.base import Count, Paper, Positive
from methods.toolkit.policy_gradient import (
    OnlineRun,
    PolicyGradient,
    Rollout,
    Tensor,
    rewards_to_go,
    token_rewards,
)


@dataclass(frozen=True)
class ReMax(PolicyGradient):
    """REINFORCE with the reward of the greedy response as the baseline.

    The baseline of a response is the reward of the policy's most likely response to the same
    prompt, token by token (Li et al., 2023, algorithm 1). Each batch of fresh responses gets one
    step. The KL is part of the reward. A token's advantage has the KL from there on, as in the
    policy gradient theorem, where the authors' code has the KL of the token alone.

    Attributes:
        kl_coef: Coefficient of the KL, in units of reward per nat.
        batch_size: Responses between updates. Half of them are greedy ones.
    """

    paper: ClassVar = Paper("Li et al., 2023", "https://arxiv.org/abs/2310.10505")
    over: ClassVar = "length"
    grid: ClassVar = {"kl_coef": [0.02, 0.1, 0.2, 0.4, 0.8]}

    learning_rate: Positive = 3e-3
    batch_size: Annotated[int, Ge(2), MultipleOf(2)] = 192
    epochs: Count = 1
    minibatches: Count = 1
    save_every: Count = 8

    def collect(self, run: OnlineRun) -> Rollout:
        prompts = run.prompts(2)
        greedy = replace(run.context.sampling, temperature=0.0)
        return replace(run.collect(prompts=prompts), baselines=run.baselines(prompts, greedy))

    def advantages(self, rollout: Rollout) -> Tensor:
        gains, log_ratios = rollout.rewards - rollout.baselines, rollout.token_log_ratios
        rewards = token_rewards(gains, log_ratios, rollout.mask, self.kl_coef)
        return rewards_to_go(rewards, rollout.mask)

    def loss(self, logprobs: Tensor, rollout: Rollout) -> Tensor:
        return -rollout.advantages * logprobs

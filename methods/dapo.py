"""DAPO (Yu et al., 2025): GRPO with a wider upper clip, token means and dynamic sampling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from annotated_types import Ge

from methods.base import NonNegative, Paper, Positive, Share
from methods.toolkit.policy_gradient import (
    OnlineRun,
    PolicyGradient,
    Rollout,
    Tensor,
    clipped_surrogate,
    group_advantages,
    kl_estimate,
    policy_metrics,
)


@dataclass(frozen=True)
class DAPO(PolicyGradient):
    """Decoupled clip and dynamic sampling policy optimization.

    GRPO with four changes (Yu et al., 2025, equations 8 to 13): a ratio may rise further than it
    may fall; all tokens of a batch weigh alike; a group whose rewards are equal is left out; and,
    as an option, responses close to the longest possible length lose reward.

    The paper samples until a batch is full of groups with different rewards. Here equal groups are
    left out of the mean, so that a batch costs what the budget says. The paper drops the KL term.
    GRPO's is kept here, so that there is a KL strength.

    Attributes:
        kl_coef: Coefficient of the KL term, in units of advantage per nat and token.
        group: Responses to each prompt.
        clip: How far a ratio may fall below 1.
        clip_high: How far a ratio may rise above 1.
        overlong_penalty: Subtracted from the reward of a response of the longest possible length.
            It rises linearly from 0 over the last tokens.
        overlong_share: Share of the longest possible length over which the penalty rises.
    """

    paper: ClassVar = Paper("Yu et al., 2025", "https://arxiv.org/abs/2503.14476")
    strength_is_kl: ClassVar = False
    grid: ClassVar = {"kl_coef": [0.1, 0.2, 0.3, 0.45, 0.7]}

    learning_rate: Positive = 7e-4
    group: Annotated[int, Ge(2)] = 8
    clip_high: Positive = 0.28
    overlong_penalty: NonNegative = 0.0
    overlong_share: Share = 0.2

    def collect(self, run: OnlineRun) -> Rollout:
        rollout = run.collect(self.group)
        penalties = self.overlong(rollout, run.context.sampling.max_new_tokens)
        return self.mixed_groups(replace(rollout, rewards=rollout.rewards - penalties))

    def overlong(self, rollout: Rollout, longest: int) -> Tensor:
        """Return what each response loses for its length, [B]: equation 13."""
        buffer = max(1, round(self.overlong_share * longest))
        excess = rollout.mask.sum(1) - (longest - buffer)
        return self.overlong_penalty * (excess / buffer).clamp(0, 1)

    def mixed_groups(self, rollout: Rollout) -> Rollout:
        """Return the groups with different rewards, or all groups if there is none."""
        groups = rollout.rewards.view(-1, self.group)
        mixed = groups.amax(1) > groups.amin(1)
        rows = mixed.repeat_interleave(self.group).nonzero().flatten().tolist()
        return rollout.rows(rows) if rows else rollout

    def advantages(self, rollout: Rollout) -> Tensor:
        return group_advantages(rollout.rewards, self.group, scale=True)

    def loss(self, logprobs: Tensor, rollout: Rollout) -> Tensor:
        losses = clipped_surrogate(
            logprobs, rollout.logprobs, rollout.advantages, self.clip, self.clip_high
        )
        return losses + self.kl_coef * kl_estimate(logprobs, rollout.reference_logprobs)

    def metrics(self, logprobs: Tensor, rollout: Rollout) -> dict[str, Tensor]:
        return policy_metrics(logprobs, rollout.logprobs, rollout.mask, self.clip, self.clip_high)

"""Policy gradients on the online loop: a method is its advantages and its loss."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from methods.base import Context, Count, NonNegative, Positive
from methods.core.models.policy import ModelPolicy
from methods.core.online.advantages import (
    group_advantages,
    leave_one_out,
    rewards_to_go,
    token_rewards,
    whiten,
)
from methods.core.online.rollout import Rollout
from methods.core.online.run import OnlineRun
from methods.core.online.surrogates import (
    Average,
    average,
    clipped_surrogate,
    kl_estimate,
    policy_metrics,
)
from methods.core.training.optimization import check_shape
from methods.core.training.trainer import isolated
from methods.toolkit.online import Online

if TYPE_CHECKING:
    from torch import Tensor
else:
    # So that a method's file can import the name without importing torch.
    Tensor = Any

__all__ = [
    "OnlineRun",
    "PolicyGradient",
    "Rollout",
    "Tensor",
    "clipped_surrogate",
    "group_advantages",
    "kl_estimate",
    "leave_one_out",
    "policy_metrics",
    "rewards_to_go",
    "token_rewards",
    "whiten",
]


@dataclass(frozen=True)
class PolicyGradient(Online):
    """Base class of online methods that are their advantages and their loss.

    Attributes:
        over: What the loss is a mean of: the "tokens" of a minibatch, its "responses" with the mean
            of each one's tokens, or its responses with the "length" of the longest possible one.
        kl_coef: Coefficient of the KL to the reference, in units of reward per nat.
        group: Responses to each prompt, which are neighbors in a rollout.
        batch_size: Responses between updates.
        epochs: Passes over a batch.
        minibatches: Parts of a batch, with one optimizer step for each.
        clip: How far a probability ratio may move from 1.
        max_grad_norm: Gradients are clipped to this norm. None does not clip.
        save_every: Updates between saves for resuming.
    """

    strength: ClassVar = "kl_coef"
    strength_is_kl: ClassVar = True
    distributed: ClassVar = True
    grid: ClassVar = {"kl_coef": [0.05, 0.1, 0.2, 0.4, 0.8]}
    over: ClassVar[Average] = "tokens"

    kl_coef: NonNegative = 0.2
    group: Annotated[int, Ge(1)] = 1
    batch_size: Count = 96
    epochs: Count = 2
    minibatches: Count = 3
    clip: Positive = 0.2
    max_grad_norm: Positive | None = 1.0
    save_every: Count = 20

    def __post_init__(self) -> None:
        if self.batch_size % self.group:
            raise ValueError(f"batch_size must be a multiple of group, {self.group}")

    @abstractmethod
    def advantages(self, rollout: Rollout) -> Tensor:
        """Return the advantage of each response token, [B, T], or of each response, [B].

        Args:
            rollout: Responses, with rewards [B], log-probabilities [B, T] and mask [B, T].
        """

    @abstractmethod
    def loss(self, logprobs: Tensor, rollout: Rollout) -> Tensor:
        """Return the loss of each response token, [B, T].

        Args:
            logprobs: Log-probabilities under the policy being trained, [B, T] (nats).
            rollout: The same responses, with their advantages [B, T].
        """

    def collect(self, run: OnlineRun) -> Rollout:
        """Sample the responses of an update. A method that measures more adds it here."""
        return run.collect(self.group)

    def metrics(self, logprobs: Tensor, rollout: Rollout) -> dict[str, Tensor]:
        """Return what to log of an update beside the loss, as scalars.

        Args:
            logprobs: As in `loss`.
            rollout: As in `loss`.
        """
        return policy_metrics(logprobs, rollout.logprobs, rollout.mask, self.clip)

    def train(self, context: Context) -> ModelPolicy:
        with isolated():
            run = OnlineRun(context, self)
            for _ in run.batches():
                rollout = self.collect(run)
                rollout = replace(rollout, advantages=self._token_advantages(rollout))
                for part in run.minibatches(rollout, self.over):
                    logprobs = run.logprobs(part)
                    losses = self.loss(logprobs, part)
                    check_shape("loss", losses, part.mask.shape, "token")
                    longest = context.sampling.max_new_tokens
                    run.backward(
                        average(losses, part.mask, self.over, longest),
                        **self.metrics(logprobs, part),
                    )
                run.end_update()
            return run.policy

    def _token_advantages(self, rollout: Rollout) -> Tensor:
        advantages, mask = self.advantages(rollout), rollout.mask
        if advantages.shape == mask.shape[:1]:
            advantages = advantages.unsqueeze(1).expand_as(mask)
        check_shape("advantages", advantages, mask.shape, "token")
        return advantages.where(mask, 0.0)

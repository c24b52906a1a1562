"""Methods whose loss compares two responses to a prompt that the training samples."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from annotated_types import Ge, MultipleOf

from methods.base import Context, Count, Positive
from methods.core.models.policy import ModelPolicy
from methods.core.online.rollout import Rollout, interleave
from methods.core.online.run import OnlineRun
from methods.core.training.optimization import check_shape
from methods.core.training.trainer import isolated
from methods.toolkit.online import Online

if TYPE_CHECKING:
    from torch import Tensor
else:
    # So that a method's file can import the name without importing torch.
    Tensor = Any

__all__ = [
    "OnlinePairs",
    "OnlineRun",
    "ResponsePairs",
    "Rollout",
    "Tensor",
    "difference",
    "interleave",
]


class ResponsePairs(NamedTuple):
    """Pairs of responses to the same prompt, each [B, 2].

    Attributes:
        logprobs: Log-probabilities under the policy being trained (nats).
        old_logprobs: Log-probabilities under the policy that sampled them (nats).
        reference_logprobs: Log-probabilities under the reference (nats).
        rewards: Rewards.
    """

    logprobs: Tensor
    old_logprobs: Tensor
    reference_logprobs: Tensor
    rewards: Tensor

    @property
    def margin(self) -> Tensor:
        """The log-ratio of policy to reference, of the better response less the worse, [B]."""
        first_is_better = self.rewards[:, 0] >= self.rewards[:, 1]
        gap = difference(self.logprobs - self.reference_logprobs)
        return gap.where(first_is_better, -gap)


def difference(values: Tensor) -> Tensor:
    """Return what the first response of each pair has more than the second, [B].

    Args:
        values: Of both responses, [B, 2].
    """
    return values[:, 0] - values[:, 1]


@dataclass(frozen=True)
class OnlinePairs(Online):
    """Base class of online methods that are a loss on pairs of responses.

    Attributes:
        batch_size: Responses between updates, two to each prompt.
        epochs: Passes over a batch.
        minibatches: Parts of a batch, with one optimizer step for each.
        max_grad_norm: Gradients are clipped to this norm. None does not clip.
        save_every: Updates between saves for resuming.
    """

    distributed: ClassVar = True

    batch_size: Annotated[int, Ge(2), MultipleOf(2)] = 96
    epochs: Count = 2
    minibatches: Count = 3
    max_grad_norm: Positive | None = 1.0
    save_every: Count = 20

    @abstractmethod
    def loss(self, pairs: ResponsePairs) -> Tensor:
        """Return the loss of each pair, [B].

        Args:
            pairs: Log-probabilities and rewards of both responses.
        """

    def collect(self, run: OnlineRun) -> Rollout:
        """Sample the responses of an update, with those to the same prompt as neighbors."""
        return run.collect(2)

    def train(self, context: Context) -> ModelPolicy:
        return self.run(context).policy

    def run(self, context: Context) -> OnlineRun:
        """Train, and return the run at its end: its policy, and the state that `collect` kept."""
        with isolated():
            run = OnlineRun(context, self)
            for _ in run.batches():
                rollout = self.collect(run)
                for part in run.minibatches(rollout, "responses", group=2):
                    pairs = ResponsePairs(
                        run.logprobs(part).sum(1).view(-1, 2),
                        part.logprobs.sum(1).view(-1, 2),
                        part.reference_logprobs.sum(1).view(-1, 2),
                        part.rewards.view(-1, 2),
                    )
                    ranked = (pairs.margin > 0).float()
                    losses = self.loss(pairs)
                    check_shape("loss", losses, ranked.shape, "pair")
                    run.backward(losses.mean(), accuracy=ranked.mean())
                run.end_update()
            return run

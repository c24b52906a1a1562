"""A reference that follows the policy during the training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from methods.core.models.batch import Batch
from methods.core.models.loading import trainable_weights
from methods.core.models.logprobs import token_logprobs
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


class FollowingReference:
    """A copy of the policy's trained weights that follows them step by step.

    Where adapters are trained, it is a copy of the adapters. Several processes have equal copies,
    because their policies are equal.

    Attributes:
        policy: The policy. It computes with the copied weights in place of its own.
        alpha: Share of the policy in the updated copy.
        update_every: Steps between updates.
    """

    def __init__(self, policy: ModelPolicy, alpha: float, update_every: int = 1) -> None:
        self.policy, self.alpha, self.update_every = policy, alpha, update_every
        self._weights = {
            name: weight.detach().clone()
            for name, weight in trainable_weights(policy.model).items()
        }

    @contextmanager
    def in_place(self) -> Iterator[PreTrainedModel]:
        """Let the policy's model compute with the copied weights, and yield it."""
        self._swap()
        try:
            yield self.policy.model
        finally:
            self._swap()

    def logprobs(self, batch: Batch) -> Tensor:
        """Return its log-probabilities of the response tokens, [B, T] (nats; 0 on padding)."""
        import torch

        with self.in_place() as model, torch.no_grad():
            return token_logprobs(model, batch, SamplingParams())

    def after_step(self, step: int) -> None:
        """Move towards the policy, if an update is due."""
        if step % self.update_every == 0:
            for name, weight in trainable_weights(self.policy.model).items():
                self._weights[name].lerp_(weight.detach(), self.alpha)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the copied weights, by name."""
        return dict(self._weights)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state_dict` returned."""
        for name, weight in self._weights.items():
            weight.copy_(state[name])

    def _swap(self) -> None:
        """Exchange the weights of the policy with the copy."""
        import torch

        for name, weight in trainable_weights(self.policy.model).items():
            weight.data, self._weights[name] = self._weights[name], weight.data
        # Autocast would go on with what it has cast of the other weights.
        torch.clear_autocast_cache()

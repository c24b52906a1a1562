"""Gradient steps: the optimizer, its schedule, precision and processes, and what resuming needs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from methods.core.models import distributed
from methods.core.models.loading import trainable_weights
from methods.core.training.context import Context
from methods.core.training.memory import StepTooLargeError, micro_batch_tokens
from methods.core.training.trainer import LOWER_LEARNING_RATE, Diverged, autocast

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel


class TrainedModel(NamedTuple):
    """A model that is trained.

    Attributes:
        model: The model.
        learning_rate: At its peak.
    """

    model: PreTrainedModel
    learning_rate: float


def check_shape(name: str, values: Tensor, shape: torch.Size, unit: str) -> None:
    """Raise ValueError if values do not have a shape: others might be broadcast in silence.

    Args:
        name: What the values are, as in "loss".
        values: What a method returned.
        shape: The shape that they must have.
        unit: What each value belongs to, as in "token".
    """
    if values.shape != shape:
        raise ValueError(
            f"the shape of the {name} is {list(values.shape)}; "
            f"it must be {list(shape)}, one value for each {unit}"
        )


class Optimization:
    """The optimizer of one training: AdamW without weight decay, warmed up, then linear to 0.

    Several processes average their gradients. On a GPU, large models compute in bf16.

    Attributes:
        models: The models that are trained, by name.
        steps: Optimizer steps of the whole training.
        max_grad_norm: The gradients of each model are clipped to this norm. None does not clip.
        micro_batch_tokens: The most tokens that go through the models at once, padding included.
    """

    def __init__(
        self,
        context: Context,
        models: Mapping[str, TrainedModel],
        steps: int,
        *,
        warmup: float = 0.0,
        max_grad_norm: float | None = 1.0,
        epsilon: float = 1e-8,
    ) -> None:
        import torch
        from transformers import get_linear_schedule_with_warmup

        self.models = {name: trained.model for name, trained in models.items()}
        self.steps, self.max_grad_norm = steps, max_grad_norm
        self._checkpointing = context.loading.gradient_checkpointing
        self._device = context.device
        self._context = context
        self.micro_batch_tokens = micro_batch_tokens(
            list(self.models.values()), context.loading, context.device
        )
        groups = [
            {"params": list(trainable_weights(trained.model).values()), "lr": trained.learning_rate}
            for trained in models.values()
        ]
        self._optimizer = torch.optim.AdamW(groups, eps=epsilon, weight_decay=0.0, fused=True)
        self._schedule = get_linear_schedule_with_warmup(
            self._optimizer, round(warmup * steps), steps
        )
        # Read only when they are asked for: each read makes a GPU wait.
        self._norms: list[Tensor] = []

    def autocast(self) -> torch.autocast:
        """Return a context manager in which the models compute at their precision."""
        return autocast(next(iter(self.models.values())), self._device)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of a loss. The next step uses the sum."""
        loss.backward()

    def use_smaller_micro_batches(self, longest: int) -> None:
        """Discard the gradients of a step that ran out of memory, and halve the micro-batches.

        Args:
            longest: Tokens of the longest row of the step.

        Raises:
            StepTooLargeError: The micro-batches had one row, or other processes wait for this one.
        """
        import torch

        self._optimizer.zero_grad()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if self.micro_batch_tokens <= longest or distributed.is_distributed():
            several = "; with several processes, the first out-of-memory ends the run"
            raise StepTooLargeError(
                f"out of memory with a micro-batch of {self.micro_batch_tokens} tokens"
                f"{several if distributed.is_distributed() else ''}"
            )
        self.micro_batch_tokens = max(longest, self.micro_batch_tokens // 2)
        self._context.count_halving()

    def step(self) -> None:
        """Clip the gradients, change the weights, and continue the schedule."""
        import torch

        limit = math.inf if self.max_grad_norm is None else self.max_grad_norm
        norms = []
        for model in self.models.values():
            distributed.average_gradients(model.parameters())
            norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), limit))
        self._norms.append(torch.stack(norms))
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._schedule.step()

    def train_mode(self, on: bool) -> None:
        """Switch training mode for gradient checkpointing, which works in training mode only.

        There is no dropout that the mode could switch on.
        """
        if self._checkpointing:
            for model in self.models.values():
                model.train(on)

    def gradient_norms(self) -> dict[str, float]:
        """Return the mean gradient norm of each model since the last call, before clipping.

        Raises:
            Diverged: A norm is not finite. A loss that is not finite shows here too.
        """
        import torch

        means = torch.stack(self._norms).float().mean(0).tolist()
        self._norms = []
        for name, norm in zip(self.models, means, strict=True):
            if not math.isfinite(norm):
                raise Diverged(
                    f"the gradient norm of the {name.replace('_', ' ')} is {norm}: "
                    f"{LOWER_LEARNING_RATE}"
                )
        return {
            f"{name}_gradient_norm": norm for name, norm in zip(self.models, means, strict=True)
        }

    def learning_rate(self) -> float:
        """Return the learning rate of the first model in the next step."""
        return float(self._schedule.get_last_lr()[0])

    def state_dict(self) -> dict[str, Any]:
        """Return the trained weights and the state of optimizer and schedule."""
        return {
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            **{name: trainable_weights(model) for name, model in self.models.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        for name, model in self.models.items():
            model.load_state_dict(state[name], strict=False)

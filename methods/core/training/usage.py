"""What a training uses: prompts, responses, rewards, tokens and time."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from types import MethodType
from typing import TYPE_CHECKING, Any

from methods.core.models.loading import inner

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


@dataclass
class Usage:
    """What a run used.

    Attributes:
        prompts_seen: Labels that were read, or prompts whose responses were rewarded, repeats
            included.
        responses_sampled: Responses that any model generated.
        reward_calls: Responses that were rewarded.
        train_sequences: Sequences that went through a model with gradients on.
        train_tokens: Their tokens.
        train_seconds: Time of the training up to its last save.
        micro_batch_halvings: How often the training ran out of memory, halved its micro-batches and
            repeated the step.
    """

    prompts_seen: int = 0
    responses_sampled: int = 0
    reward_calls: int = 0
    train_sequences: int = 0
    train_tokens: int = 0
    train_seconds: float = 0.0
    micro_batch_halvings: int = 0


class UsageCounter:
    """Counts the usage of one training by hooks on its models, so that no method can forget to."""

    def __init__(self) -> None:
        self._usage = Usage()
        # Tokens are added up on the device: reading them at every step would make a GPU wait.
        self._tokens: torch.Tensor | int = 0
        self._started = time.perf_counter()

    @property
    def usage(self) -> Usage:
        """The usage so far. `train_seconds` is that of the last save."""
        self._usage.train_tokens += int(self._tokens)
        self._tokens = 0
        return self._usage

    def seconds(self) -> float:
        """Return the seconds of training so far, those before a stop included."""
        return self._usage.train_seconds + time.perf_counter() - self._started

    def skip(self, seconds: float) -> None:
        """Do not count this much time."""
        self._started += seconds

    def state(self) -> dict[str, Any]:
        """Return the usage so far as plain values, time included."""
        return asdict(self.usage) | {"train_seconds": self.seconds()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._usage, self._tokens = Usage(**state), 0
        self._started = time.perf_counter()

    def count_labels(self, count: int) -> None:
        """Count labels that are read. Reading them again does not count."""
        self._usage.prompts_seen = max(self._usage.prompts_seen, count)

    def count_rewards(self, count: int) -> None:
        """Count responses that are rewarded."""
        self._usage.reward_calls += count
        self._usage.prompts_seen += count

    def count_samples(self, model: PreTrainedModel) -> None:
        """Count the responses that a model generates from now on, whoever calls it."""

        def generate(model: Any, *args: Any, **options: Any) -> Any:
            output = type(model).generate(model, *args, **options)
            self._usage.responses_sampled += len(getattr(output, "sequences", output))
            return output

        # A bound method, so that a copy of the model generates from the copy.
        model.generate = MethodType(generate, model)

    def count_tokens(self, model: PreTrainedModel) -> PreTrainedModel:
        """Count the tokens that a model is trained on from now on, and return the model."""
        import torch

        def count(_: Any, __: Any, inputs: dict[str, Any]) -> None:
            if torch.is_grad_enabled() and (mask := inputs.get("attention_mask")) is not None:
                self._usage.train_sequences += len(mask)
                self._tokens = self._tokens + mask.sum()

        inner(model).base_model.register_forward_pre_hook(count, with_kwargs=True)
        return model

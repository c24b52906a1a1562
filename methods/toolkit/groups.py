"""Policy gradients whose baseline is the other responses to the same prompt, by TRL's trainers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge

from methods.base import Context, Count, NonNegative, Positive
from methods.toolkit.online import Online
from methods.core.models.policy import ModelPolicy
from methods.core.trl.online import fit_by_online_trainer


@dataclass(frozen=True)
class Groups(Online):
    """kl_coef: weight of the KL to the reference. group: responses to each prompt.

    batch_size: responses that are sampled at a time. epochs, minibatches: passes over a batch, and
    parts of it per pass. clip: the clipping range. learning_rate, episodes: as in Online.
    """

    strength: ClassVar = "kl_coef"
    grid: ClassVar = {"kl_coef": [0.15, 0.3, 0.6, 1.2]}

    kl_coef: NonNegative = 0.2
    group: Annotated[int, Ge(2)] = 4
    batch_size: Count = 64
    epochs: Count = 1
    minibatches: Count = 2
    clip: Positive = 0.2

    def __post_init__(self) -> None:
        for name in ("group", "minibatches"):
            if self.batch_size % getattr(self, name):
                raise ValueError(f"batch_size must be a multiple of {name}, {getattr(self, name)}")

    def fit(self, context: Context, trainer: Any, config: Any, **options: Any) -> ModelPolicy:
        """Train by RLOOTrainer or GRPOTrainer; options: of its config. Raises Diverged."""
        return fit_by_online_trainer(
            context,
            trainer,
            config,
            batches=self.batches(context, self.batch_size),
            batch_size=self.batch_size,
            group=self.group,
            steps_per_batch=self.epochs * self.minibatches,
            curve=curve,
            learning_rate=self.learning_rate,
            per_device_train_batch_size=self.batch_size // self.minibatches,
            steps_per_generation=self.minibatches,
            num_iterations=self.epochs,
            num_generations=self.group,
            max_completion_length=context.sampling.max_new_tokens,
            # Prompts come in the order that is drawn here.
            shuffle_dataset=False,
            # Responses that were cut off count: the sampling cuts them, and the reward sees it.
            mask_truncated_completions=False,
            beta=self.kl_coef,
            epsilon=self.clip,
            **options,
        )


def curve(entry: dict[str, float]) -> dict[str, float]:
    """Return the metrics of a training curve; TRL's KL and entropy are per token, ours are not."""
    length = entry["completions/mean_length"]
    # Without a weight the KL is not computed.
    metrics = {name: entry[name] * length for name in ("kl", "entropy") if name in entry}
    return metrics | {"reward": entry["reward"], "response_tokens": length}

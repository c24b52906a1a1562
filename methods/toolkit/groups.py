"""Policy gradients with the other responses to a prompt as the baseline, by TRL's trainers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge

from methods.base import Context, Count, NonNegative, Positive
from methods.core.models.policy import ModelPolicy
from methods.core.trl.online import fit_by_online_trainer
from methods.toolkit.online import Online


@dataclass(frozen=True)
class Groups(Online):
    """Base class of methods that compare several responses to each prompt.

    Attributes:
        kl_coef: Coefficient of the KL to the reference.
        group: Responses to each prompt.
        batch_size: Responses between two samplings.
        epochs: Passes over a batch.
        minibatches: Parts of a batch, with one optimizer step for each.
        clip: How far a probability ratio may move from 1.
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
        """Train a fresh copy of the SFT policy.

        Args:
            context: The context of the training.
            trainer: RLOOTrainer or GRPOTrainer.
            config: The class of its config.
            **options: Settings of the config.

        Raises:
            Diverged: A loss, a weight or a reward is not finite.
        """
        return fit_by_online_trainer(
            context,
            trainer,
            config,
            batches=self.batches(context, self.batch_size),
            batch_size=self.batch_size,
            group=self.group,
            steps_per_batch=self.epochs * self.minibatches,
            curve=sequence_metrics,
            learning_rate=self.learning_rate,
            per_device_train_batch_size=self.batch_size // self.minibatches,
            steps_per_generation=self.minibatches,
            num_iterations=self.epochs,
            num_generations=self.group,
            max_completion_length=context.sampling.max_new_tokens,
            # The prompts are shuffled already.
            shuffle_dataset=False,
            # Cut-off responses count: the evaluation cuts them too, and the reward sees it.
            mask_truncated_completions=False,
            beta=self.kl_coef,
            epsilon=self.clip,
            **options,
        )


def sequence_metrics(entry: dict[str, float]) -> dict[str, float]:
    """Return the metrics of a log entry. TRL's KL and entropy are per token, ours per response."""
    length = entry["completions/mean_length"]
    # TRL does not compute the KL if its coefficient is 0.
    metrics = {name: entry[name] * length for name in ("kl", "entropy") if name in entry}
    return metrics | {"reward": entry["reward"], "response_tokens": length}

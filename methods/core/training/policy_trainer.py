"""Training a fresh copy of the SFT policy with a trainer of transformers or TRL."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from methods.core.models.policy import ModelPolicy
from methods.core.training.context import Context
from methods.core.training.trainer import (
    LOWER_LEARNING_RATE,
    Diverged,
    Schedule,
    every_log,
    every_step,
    train_quietly,
)

if TYPE_CHECKING:
    from transformers import Trainer

# The names of TRL's metrics, and ours.
CURVES = {
    "loss": "loss",
    "rewards/margins": "reward_margin",
    "logps/chosen": "chosen_logp",
    "logps/rejected": "rejected_logp",
}


def fit_by_trainer(
    context: Context,
    schedule: Schedule,
    build: Callable[[ModelPolicy, dict[str, Any], list[Any]], Trainer],
    curves: Mapping[str, str] = CURVES,
) -> ModelPolicy:
    """Train a fresh copy of the SFT policy.

    Args:
        context: The context of the training.
        schedule: How long and how fast to train.
        build: Returns a trainer of the policy. It gets the policy, keyword arguments for the
            trainer's config, and callbacks.
        curves: The metrics to keep: their names in the trainer's log, and ours.

    Returns:
        The trained policy.

    Raises:
        Diverged: A loss or a weight is not finite.
    """
    policy = context.start()
    steps, size = schedule.steps(context.budget), schedule.batch_size
    if steps == 0:
        return policy
    arguments = context.trainer_arguments(policy.model) | schedule.arguments(context.budget)
    callbacks = [
        every_step(lambda step: context.checkpoint(step * size, steps * size, policy)),
        every_log(lambda entry: log_entry(context, entry, size, curves)),
    ]
    train_quietly(lambda: build(policy, arguments, callbacks))
    policy.model.eval()
    return policy


def log_entry(
    context: Context, entry: Mapping[str, float], batch_size: int, curves: Mapping[str, str]
) -> None:
    """Log an entry of a trainer's log.

    Args:
        context: Where to log it.
        entry: An entry of the trainer's `log_history` with a loss.
        batch_size: Examples of a step.
        curves: The metrics to keep: their names in the entry, and ours.

    Raises:
        Diverged: The loss is not finite.
    """
    if not math.isfinite(entry["loss"]):
        raise Diverged(f"loss is {entry['loss']} at step {entry['step']}: {LOWER_LEARNING_RATE}")
    point = {ours: float(entry[theirs]) for theirs, ours in curves.items() if theirs in entry}
    context.log(int(entry["step"]) * batch_size, **point)

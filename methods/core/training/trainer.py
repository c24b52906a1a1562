"""What all trainings share: the schedule, arguments of trainers, isolation and checks."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from methods.core.models import distributed
from methods.core.models.loading import Loading, use_bf16

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, Trainer, TrainerCallback

LOGGING_STEPS = 10
# Ends messages about numbers that are not finite.
LOWER_LEARNING_RATE = "lower the learning rate"


class Diverged(RuntimeError):
    """Training produced a number that is not finite."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a trainer trains.

    Attributes:
        learning_rate: At its peak.
        examples: Training examples in all, repeats included. The budget may cut them.
        batch_size: Examples of a step.
        warmup: Share of the steps in which the learning rate rises.
    """

    learning_rate: float = 5e-4
    examples: int = 8192
    batch_size: int = 32
    warmup: float = 0.1

    def steps(self, budget: int) -> int:
        """Return the number of steps under a budget (examples)."""
        return whole_batches(self.examples, budget, self.batch_size)

    def arguments(self, budget: int) -> dict[str, Any]:
        """Return keyword arguments for any `TrainingArguments` under a budget (examples)."""
        steps = self.steps(budget)
        return {
            "learning_rate": self.learning_rate,
            "per_device_train_batch_size": distributed.local_batch_size(self.batch_size),
            "max_steps": steps,
            "warmup_steps": round(self.warmup * steps),
            "remove_unused_columns": False,
            "logging_steps": LOGGING_STEPS,
            "logging_nan_inf_filter": False,
        }


def whole_batches(wanted: int, budget: int, size: int) -> int:
    """Return how many whole batches fit into both the wanted number and the budget.

    Args:
        wanted: Examples or episodes to train on.
        budget: The most examples or episodes to use.
        size: Examples or episodes of a batch.

    Raises:
        ValueError: There is a budget, but not one batch fits.
    """
    count = min(wanted, budget)
    if budget and count < size:
        raise ValueError(
            f"{count} examples or episodes are too few for a batch of {size}: lower batch_size, or "
            "raise the budget and the method's examples or episodes"
        )
    return count // size


def trainer_arguments(
    model: PreTrainedModel,
    device: str,
    seed: int,
    workdir: Path,
    loading: Loading = Loading(),
) -> dict[str, Any]:
    """Return keyword arguments for any `TrainingArguments`: nothing is saved, shown or reported.

    Args:
        model: The model to train.
        device: "cpu" or "cuda".
        seed: Seed of the training.
        workdir: The trainer's output folder.
        loading: How the model was loaded.
    """
    on_cuda = device.startswith("cuda")
    return {
        "output_dir": str(workdir),
        "seed": seed,
        "use_cpu": device == "cpu",
        "bf16": use_bf16(model, device),
        "gradient_checkpointing": loading.gradient_checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        "optim": "adamw_torch_fused" if on_cuda else "adamw_torch",
        "lr_scheduler_type": "linear",
        "report_to": [],
        "save_strategy": "no",
        "disable_tqdm": True,
        "dataloader_pin_memory": on_cuda,
    }


def train_quietly(build: Callable[[], Trainer], resume_from: Path | None = None) -> Trainer:
    """Build a trainer and run it without its output.

    Args:
        build: Returns the trainer.
        resume_from: A checkpoint of the trainer to continue from.

    Returns:
        The trainer after the training.

    Raises:
        Diverged: A weight is not finite.
    """
    from transformers.trainer_callback import PrinterCallback

    with isolated(), without_logging():
        trainer = build()
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
    check_finite(trainer.model)
    return trainer


@contextmanager
def isolated() -> Iterator[None]:
    """Restore what trainers change for the whole process: random states and the environment.

    Inside, a CPU takes numbers too small for its fast arithmetic (denormals) as 0.
    """
    import numpy
    import torch

    environment = dict(os.environ)
    python_state, numpy_state = random.getstate(), numpy.random.get_state()
    torch.set_flush_denormal(True)
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        torch.set_flush_denormal(False)
        random.setstate(python_state)
        numpy.random.set_state(numpy_state)
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)


@contextmanager
def without_logging() -> Iterator[None]:
    """Log errors only: trainers print advice on every run."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)


def autocast(model: PreTrainedModel, device: str) -> torch.autocast:
    """Return a context manager in which the model computes in bf16, if it trains in bf16."""
    import torch

    return torch.autocast(
        torch.device(device).type, torch.bfloat16, enabled=use_bf16(model, device)
    )


def every_step(action: Callable[[int], None]) -> TrainerCallback:
    """Return a callback for any trainer that calls the action with the number of steps done."""
    from transformers import TrainerCallback

    class EveryStep(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            action(state.global_step)

    return EveryStep()


def every_log(action: Callable[[dict[str, float]], None]) -> TrainerCallback:
    """Return a callback that calls the action with each entry of the trainer's log with a loss."""
    from transformers import TrainerCallback

    class EveryLog(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            entry = state.log_history[-1]
            if "loss" in entry:
                action(entry)

    return EveryLog()


def every_save(action: Callable[[int], None]) -> TrainerCallback:
    """Return a callback that calls the action with the number of steps done after each save."""
    from transformers import TrainerCallback

    class EverySave(TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            action(state.global_step)

    return EverySave()


def check_finite(model: torch.nn.Module) -> None:
    """Raise Diverged if a weight is not a finite number."""
    for name, weight in model.named_parameters():
        if not bool(weight.isfinite().all()):
            raise Diverged(f"{name} is not finite: {LOWER_LEARNING_RATE}")

"""A method under check and its trainings, which several checks share."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.checks.observe import Killed, Observation, observe
from bench.checks.tiny_task import TinyTask
from methods.base import Method
from methods.core.models.policy import ModelPolicy, Policy
from methods.core.training.context import Context
from methods.core.training.usage import Usage

# Budgets: enough to train, and enough to learn with a method's default settings.
SHORT, LONG = 512, 2048


class Failed(AssertionError):
    """The method fails the check; the message says why."""


class DoesNotApply(Exception):
    """The check does not apply to the method; the message says why."""


@dataclass
class Trained:
    """A finished training.

    Attributes:
        policy: The trained policy.
        usage: What training used.
        context: What it was trained with.
        observation: What it did besides training.
    """

    policy: Policy
    usage: Usage
    context: Context
    observation: Observation


@cache
def _temporary_folder() -> TemporaryDirectory[str]:
    """Return a folder that is removed when the process ends."""
    return TemporaryDirectory(prefix="prefrontier-check-")


def check_folder() -> Path:
    """Return the folder of all models and trainings of this process's checks."""
    return Path(_temporary_folder().name)


@cache
def tiny_task() -> TinyTask:
    """Return the task that methods are checked on, with its models made."""
    task = TinyTask(check_folder())
    task.prepare()
    return task


class Subject:
    """A method under check, with its default settings.

    Args:
        method: The method's class.
    """

    def __init__(self, method: type[Method]) -> None:
        self.method = method
        self._trainings = 0

    def train(
        self,
        *,
        seed: int = 0,
        budget: int = SHORT,
        reverse: bool = False,
        workdir: Path | None = None,
        kill_at: int | None = None,
    ) -> Trained:
        """Train the method once. The global random states are different every time.

        Args:
            seed: The context's seed.
            budget: The most training examples or episodes.
            reverse: Whether the annotator's preference is reversed.
            workdir: The training's folder; by default a new one.
            kill_at: The optimizer step before which the training is stopped.

        Raises:
            Killed: The training was stopped.
        """
        self._trainings += 1
        task = tiny_task().with_reversed_labels() if reverse else tiny_task()
        workdir = workdir or self._folder(self._trainings) / "work"
        context = task.context(self.method, seed=seed, budget=budget, workdir=workdir)
        method, scratch = self.method(), check_folder() / "tmp"
        _set_random_states(self._trainings)
        with one_thread(), observe(method, context, scratch, kill_at) as observation:
            policy = method.train(context)
        # A copy: the policy counts what the checks sample from it, too.
        return Trained(policy, replace(context.usage), context, observation)

    def _folder(self, name: object) -> Path:
        return check_folder() / f"{self.method.__name__}-{id(self):x}-{name}"

    @cached_property
    def short(self) -> Trained:
        """A training with a small budget."""
        return self.train()

    @cached_property
    def long(self) -> Trained:
        """A training with a budget that is enough to learn."""
        return self.train(budget=LONG)

    @cached_property
    def reverse(self) -> Trained:
        """A long training with the annotator's preference reversed."""
        return self.train(budget=LONG, reverse=True)

    @cached_property
    def killed_and_resumed(self) -> Trained:
        """A long training that was stopped before its last step, then started again."""
        workdir = self._folder("killed")
        last = self.long.observation.optimizer_steps - 1
        with suppress(Killed):
            self.train(budget=LONG, workdir=workdir, kill_at=last)
        return self.train(budget=LONG, workdir=workdir)

    @property
    def trains(self) -> bool:
        """Whether the method trains on anything."""
        return self.short.usage.train_sequences > 0

    def start(self) -> ModelPolicy:
        """Return the SFT policy that training starts from."""
        return ModelPolicy.load(tiny_task().sft, "cpu")


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread: a model this small is slower with more."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _set_random_states(seed: int) -> None:
    """Set all global random states. No training may depend on them."""
    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)


@cache
def subject_of(method: type[Method]) -> Subject:
    """Return a method's subject, always the same one, so that checks share its trainings."""
    return Subject(method)

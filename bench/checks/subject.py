"""A method under check and its trainings, which several checks share."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from bench.checks.exceptions import Blocked, place_of
from bench.checks.observe import Killed, Observation, observe
from bench.checks.tiny_task import TinyTask, check_folder, tiny_task
from bench.config.validation import build
from methods.base import Method
from methods.core.models.policy import ModelPolicy, Policy
from methods.core.training.context import Context
from methods.core.training.usage import Usage

# Budgets: enough to train, and enough to learn with a method's default settings.
SHORT, LONG = 512, 2048


@dataclass
class ObservedTraining:
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


class Subject:
    """A method under check, with its default settings.

    Args:
        method: The method's class.

    Attributes:
        error: What a training with its default settings raised.
        shown_by: Names of the checks that show exceptions, by where these were raised.
        explained_by: Name of the check that says why it cannot be trained.
    """

    def __init__(self, method: type[Method]) -> None:
        self.method = method
        self.error: Exception | None = None
        self.shown_by: dict[str, str] = {}
        self.explained_by = "raises_nothing"
        self._trainings = 0
        self._trained: dict[int, ObservedTraining] = {}

    def make(self, settings: Mapping[str, Any] | None = None) -> Method:
        """Return the method, with its default settings besides those that are given.

        Raises:
            Blocked: It cannot be constructed without arguments.
            UserError: A value is not allowed.
        """
        if settings:
            return build(self.method, settings, self.method.__name__)
        try:
            return self.method()
        except Exception as error:
            raise Blocked("it cannot be constructed: see default_constructible") from error

    def train(
        self,
        *,
        seed: int = 0,
        budget: int = SHORT,
        task: TinyTask | None = None,
        settings: Mapping[str, Any] | None = None,
        workdir: Path | None = None,
        kill_at: int | None = None,
    ) -> ObservedTraining:
        """Train the method once. The global random states are different every time.

        Args:
            seed: The context's seed.
            budget: The most training examples or episodes.
            task: What it is trained on; by default the task with the annotator's usual labels.
            settings: Hyper-parameters other than the default ones.
            workdir: The training's folder; by default a new one.
            kill_at: The optimizer step before which the training is stopped.

        Raises:
            Blocked: The method cannot be constructed.
            Killed: The training was stopped.
        """
        self._trainings += 1
        task, method, scratch = task or tiny_task(), self.make(settings), check_folder() / "tmp"
        workdir = workdir or self._folder(self._trainings) / "work"
        context = task.context(self.method, seed=seed, budget=budget, workdir=workdir)
        _set_random_states(self._trainings)
        with one_thread(), observe(method, context, scratch, kill_at) as observation:
            policy = method.train(context)
        # A copy: the policy counts what the checks sample from it, too.
        return ObservedTraining(policy, replace(context.usage), context, observation)

    def _folder(self, name: object) -> Path:
        return check_folder() / f"{self.method.__name__}-{id(self):x}-{name}"

    @property
    def short(self) -> ObservedTraining:
        """A training with a small budget."""
        return self._shared(SHORT)

    @property
    def long(self) -> ObservedTraining:
        """A training with a budget that is enough to learn."""
        return self._shared(LONG)

    def _shared(self, budget: int) -> ObservedTraining:
        """Return the training with this budget, which is done once.

        Raises:
            Blocked: The method cannot be constructed, or training it raises an exception.
        """
        if self.error is None and budget not in self._trained:
            try:
                self._trained[budget] = self.train(budget=budget)
            except Blocked:
                raise
            except Exception as error:
                self.error = error
        if self.error is not None:
            shown_by = self.shown_by.get(place_of(self.error, self.method), self.explained_by)
            raise Blocked(f"it cannot be trained: see {shown_by}")
        return self._trained[budget]

    @cached_property
    def reverse(self) -> ObservedTraining:
        """A long training with the annotator's preference reversed."""
        _ = self.long
        return self.train(budget=LONG, task=tiny_task().with_reversed_labels())

    @cached_property
    def killed_and_resumed(self) -> ObservedTraining:
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

"""A method under check, and its trainings: each is done once and serves several checks."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.checks.observe import Killed, Seen, observed
from bench.checks.tiny_task import TinyTask
from methods.base import Method
from methods.core.training.context import Context, Usage
from methods.core.models.policy import ModelPolicy, Policy

# Enough to train with; enough to learn by, with a method's default settings.
SHORT, LONG = 512, 2048


class Failed(AssertionError):
    """The method fails a check, and why."""


class DoesNotApply(Exception):
    """The check has nothing to look at in this method, and why."""


@dataclass
class Trained:
    """A training: what came out of it, what it used, its context, and what was seen of it."""

    policy: Policy
    usage: Usage
    context: Context
    seen: Seen


# The pipeline's models, and every training's: gone when the process ends.
_FOLDER: list[TemporaryDirectory[str]] = []


def check_folder() -> Path:
    """Return the folder of this process's checks."""
    if not _FOLDER:
        _FOLDER.append(TemporaryDirectory(prefix="prefrontier-check-"))
    return Path(_FOLDER[0].name)


@cache
def pipeline() -> TinyTask:
    made = TinyTask(check_folder())
    made.prepare()
    return made


class Subject:
    """A method at its default settings."""

    def __init__(self, kind: type[Method]) -> None:
        self.kind = kind
        self._count = 0

    def train(
        self,
        *,
        seed: int = 0,
        budget: int = SHORT,
        reverse: bool = False,
        workdir: Path | None = None,
        kill_at: int | None = None,
    ) -> Trained:
        """Train once. The global random states are different every time."""
        self._count += 1
        here = pipeline().other_way() if reverse else pipeline()
        own = check_folder() / f"{self.kind.__name__}-{id(self):x}-{self._count}"
        workdir = workdir or own / "work"
        context = here.context(self.kind, seed=seed, budget=budget, workdir=workdir)
        method = self.kind()
        _scramble(self._count)
        with one_thread(), observed(method, context, check_folder() / "tmp", kill_at) as seen:
            policy = method.train(context)
        # A copy: who reads the policy later is metered too.
        return Trained(policy, replace(context.usage), context, seen)

    @cached_property
    def short(self) -> Trained:
        return self.train()

    @cached_property
    def long(self) -> Trained:
        return self.train(budget=LONG)

    @cached_property
    def reverse(self) -> Trained:
        return self.train(budget=LONG, reverse=True)

    @cached_property
    def killed_and_resumed(self) -> Trained:
        """A training that was stopped before its last step, then started again in its folder."""
        workdir = check_folder() / f"{self.kind.__name__}-{id(self):x}-killed"
        with suppress(Killed):
            self.train(budget=LONG, workdir=workdir, kill_at=self.long.seen.optimizer_steps - 1)
        return self.train(budget=LONG, workdir=workdir)

    @property
    def trains(self) -> bool:
        return self.short.usage.train_sequences > 0

    def start(self) -> ModelPolicy:
        return ModelPolicy.load(pipeline().sft, "cpu")


@contextmanager
def one_thread() -> Iterator[None]:
    """Train on one core: a model as small as this is slower on more."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _scramble(number: int) -> None:
    """Set all global random states to something that no training may depend on."""
    import numpy
    import torch

    random.seed(number)
    numpy.random.seed(number)
    torch.manual_seed(number)


@cache
def subject_of(kind: type[Method]) -> Subject:
    return Subject(kind)

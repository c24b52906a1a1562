"""Observing a training: what it changes, writes and calls."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from methods.base import Method
from methods.core.training.context import Context

# A file opened with any of these flags may be written to.
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Devices and other files of the system.
SYSTEM = ("/dev/", "/proc/", "/sys/")
PATH_EVENTS = {"os.mkdir": 0, "os.rename": 1, "os.remove": 0, "os.link": 1, "os.symlink": 1}


class Killed(BaseException):
    """Stops a training from outside, as a signal would."""


@dataclass
class Observation:
    """What was observed of a training.

    Attributes:
        optimizer_steps: Number of optimizer steps.
        generations: Number of calls of the generator of transformers.
        written: Files that were written outside of its folder.
        changed: Names of the states that it changed; see `states`.
    """

    optimizer_steps: int = 0
    generations: int = 0
    written: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


@contextmanager
def observe(
    method: Method, context: Context, scratch: Path, kill_at: int | None = None
) -> Iterator[Observation]:
    """Observe a training.

    Args:
        method: The method that is trained.
        context: What it is trained with.
        scratch: Where temporary files of the libraries go.
        kill_at: The optimizer step before which the training is stopped; None to let it finish.
    """
    observation = Observation()
    before = states(method, context)
    with (
        _count_optimizer_steps(observation, kill_at),
        _count_generations(observation),
        _record_writing(observation, context.workdir, scratch),
    ):
        yield observation
    after = states(method, context)
    observation.changed = [name for name, state in before.items() if after[name] != state]


def states(method: Method, context: Context) -> dict[str, Any]:
    """Return everything that a training must not change, by name."""
    import numpy
    import torch

    attributes = vars(type(method)).items()
    declared = {name: repr(value) for name, value in attributes if not callable(value)}
    return {
        "method": (dataclasses.asdict(method), vars(method).copy(), declared),
        "feedback": list(context.labels),
        "prompts": list(context.prompts),
        "reference": (weights_digest(context.reference.model), folder_digest(context.sft)),
        "reward model": folder_digest(context.reward_folder) if context.reward_folder else None,
        "python random state": random.getstate(),
        "numpy random state": repr(numpy.random.get_state()),
        "torch random state": torch.get_rng_state().numpy().tobytes(),
        "default dtype": torch.get_default_dtype(),
        "environment": dict(os.environ),
    }


def weights_digest(model: Any) -> str:
    """Return a hash of all weights."""
    total = hashlib.sha256()
    for name, weight in model.state_dict().items():
        total.update(name.encode() + weight.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def folder_digest(folder: Path) -> str:
    """Return a hash of the files in a folder."""
    total = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            total.update(file.name.encode() + file.read_bytes())
    return total.hexdigest()


@contextmanager
def _count_optimizer_steps(observation: Observation, kill_at: int | None) -> Iterator[None]:
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    def count(*_: Any) -> None:
        if observation.optimizer_steps == kill_at:
            raise Killed
        observation.optimizer_steps += 1

    handle = register_optimizer_step_pre_hook(count)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _count_generations(observation: Observation) -> Iterator[None]:
    from transformers import GenerationMixin

    generate = GenerationMixin.generate

    def counted(*args: Any, **options: Any) -> Any:
        observation.generations += 1
        return generate(*args, **options)

    GenerationMixin.generate = counted
    try:
        yield
    finally:
        GenerationMixin.generate = generate


_listeners: list[Callable[[str, tuple[Any, ...]], None]] = []
_hooked = False


def _audit(event: str, args: tuple[Any, ...]) -> None:
    for listener in _listeners:
        listener(event, args)


@contextmanager
def _record_writing(observation: Observation, workdir: Path, scratch: Path) -> Iterator[None]:
    global _hooked
    if not _hooked:  # an audit hook cannot be removed
        sys.addaudithook(_audit)
        _hooked = True
    # `datasets` has one temporary folder per process, which an earlier training may have made.
    from datasets.fingerprint import get_temporary_cache_files_directory

    tables = os.path.realpath(get_temporary_cache_files_directory())
    scratch.mkdir(parents=True, exist_ok=True)
    allowed = (str(workdir.resolve()), str(scratch.resolve()), tables, *SYSTEM)

    def record(path: str | None) -> None:
        if path is None:
            return
        full = os.path.realpath(path)
        if not full.startswith(allowed) and "__pycache__" not in full:
            observation.written.append(full)

    def listen(event: str, args: tuple[Any, ...]) -> None:
        record(_written_path(event, args))

    previous, tempfile.tempdir = tempfile.tempdir, str(scratch)
    _listeners.append(listen)
    try:
        with _record_tensor_files(record):
            yield
    finally:
        _listeners.remove(listen)
        tempfile.tempdir = previous


@contextmanager
def _record_tensor_files(record: Callable[[str], None]) -> Iterator[None]:
    """Record files of tensors: they are not written by Python, so they raise no audit event."""
    import safetensors.torch
    import torch

    def recorded(write: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            for value in (*args, *options.values()):
                if isinstance(value, str | os.PathLike):
                    record(os.fspath(value))
            return write(*args, **options)

        return wrapped

    save, save_file = torch.save, safetensors.torch.save_file
    torch.save, safetensors.torch.save_file = recorded(save), recorded(save_file)
    try:
        yield
    finally:
        torch.save, safetensors.torch.save_file = save, save_file


def _written_path(event: str, args: tuple[Any, ...]) -> str | None:
    """Return the path that an audit event writes to; None if it writes to none."""
    if event == "open":
        path, _, flags = args
        writes = isinstance(flags, int) and flags & WRITING
        return os.fsdecode(path) if writes and isinstance(path, str | bytes) else None
    if event in PATH_EVENTS and isinstance(path := args[PATH_EVENTS[event]], str | bytes):
        return os.fsdecode(path)
    return None

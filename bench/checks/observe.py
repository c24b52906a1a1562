"""What a training does besides training: what it changes, writes and calls."""

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

# Opened for reading alone, whatever the system's other flags.
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Devices, and what Python and the compilers of the libraries keep for themselves.
SYSTEM = ("/dev/", "/proc/", "/sys/")
PATH_EVENTS = {"os.mkdir": 0, "os.rename": 1, "os.remove": 0, "os.link": 1, "os.symlink": 1}


class Killed(BaseException):
    """The training was stopped from outside, as by a signal."""


@dataclass
class Seen:
    """What was seen of a training. written: files outside its folder. changed: names of states."""

    optimizer_steps: int = 0
    generations: int = 0
    written: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


@contextmanager
def observed(
    method: Method, context: Context, scratch: Path, kill_at: int | None = None
) -> Iterator[Seen]:
    """Watch a training. kill_at: the optimizer step before which it is stopped.

    scratch: where temporary files of the libraries go.
    """
    seen = Seen()
    before = states(method, context)
    with _optimizer(seen, kill_at), _generation(seen), _writing(seen, context.workdir, scratch):
        yield seen
    after = states(method, context)
    seen.changed = [name for name, state in before.items() if after[name] != state]


def states(method: Method, context: Context) -> dict[str, Any]:
    """Return all that a training must leave as it is, by name."""
    import numpy
    import torch

    kind = type(method)
    declared = {name: repr(value) for name, value in vars(kind).items() if not callable(value)}
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
    """Return a hash of all weights, to the last bit."""
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
def _optimizer(seen: Seen, kill_at: int | None) -> Iterator[None]:
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    def count(*_: Any) -> None:
        if seen.optimizer_steps == kill_at:
            raise Killed
        seen.optimizer_steps += 1

    handle = register_optimizer_step_pre_hook(count)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _generation(seen: Seen) -> Iterator[None]:
    from transformers import GenerationMixin

    generate = GenerationMixin.generate

    def counted(*args: Any, **options: Any) -> Any:
        seen.generations += 1
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
def _writing(seen: Seen, workdir: Path, scratch: Path) -> Iterator[None]:
    global _hooked
    if not _hooked:  # an audit hook stays for good
        sys.addaudithook(_audit)
        _hooked = True
    # The library keeps one temporary folder per process, wherever it was first made.
    from datasets.fingerprint import get_temporary_cache_files_directory

    tables = os.path.realpath(get_temporary_cache_files_directory())
    scratch.mkdir(parents=True, exist_ok=True)
    allowed = (str(workdir.resolve()), str(scratch.resolve()), tables, *SYSTEM)

    def look(path: str | None) -> None:
        if path is None:
            return
        full = os.path.realpath(path)
        if not full.startswith(allowed) and "__pycache__" not in full:
            seen.written.append(full)

    def listen(event: str, args: tuple[Any, ...]) -> None:
        look(_written_path(event, args))

    previous, tempfile.tempdir = tempfile.tempdir, str(scratch)
    _listeners.append(listen)
    try:
        with _tensors_written(look):
            yield
    finally:
        _listeners.remove(listen)
        tempfile.tempdir = previous


@contextmanager
def _tensors_written(look: Callable[[str], None]) -> Iterator[None]:
    """Tell of the files of tensors, which are not written by Python and raise no audit event."""
    import safetensors.torch
    import torch

    def told(write: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            for value in (*args, *options.values()):
                if isinstance(value, str | os.PathLike):
                    look(os.fspath(value))
            return write(*args, **options)

        return wrapped

    save, save_file = torch.save, safetensors.torch.save_file
    torch.save, safetensors.torch.save_file = told(save), told(save_file)
    try:
        yield
    finally:
        torch.save, safetensors.torch.save_file = save, save_file


def _written_path(event: str, args: tuple[Any, ...]) -> str | None:
    if event == "open":
        path, _, flags = args
        writes = isinstance(flags, int) and flags & WRITING
        return os.fsdecode(path) if writes and isinstance(path, str | bytes) else None
    if event in PATH_EVENTS and isinstance(path := args[PATH_EVENTS[event]], str | bytes):
        return os.fsdecode(path)
    return None

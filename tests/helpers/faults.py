"""File operations that fail, or at which the process dies, at a chosen place."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

EVENTS = ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "shutil.copyfile")


class Killed(BaseException):
    """The process is dead: nothing that it does afterwards has an effect."""


class Faults:
    """The file operations below a folder, of which one fails.

    Attributes:
        seen: The operations so far.
        hit: Whether one has failed.
    """

    def __init__(self, folder: Path, at: int, error: int | None) -> None:
        self.folder, self.at, self.error = str(folder), at, error
        self.seen: list[str] = []
        self.hit = False

    def look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in EVENTS or not str(arguments[0]).startswith(self.folder):
            return
        if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            return
        self.seen.append(event)
        if self.hit and self.error is None:
            raise Killed
        if not self.hit and len(self.seen) == self.at:
            self.hit = True
            if self.error is None:
                raise Killed
            raise OSError(self.error, os.strerror(self.error), str(arguments[0]))


_active: list[Faults] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    for faults in _active:
        faults.look(event, arguments)


sys.addaudithook(_hook)  # it cannot be removed, and does nothing outside of `faults`


@contextmanager
def faults(folder: Path, at: int, error: int | None = errno.ENOSPC) -> Iterator[Faults]:
    """Let the operation number `at` below a folder fail, from 1; without an error, die there."""
    found = Faults(folder, at, error)
    _active.append(found)
    try:
        yield found
    finally:
        _active.remove(found)

"""What checks raise, and where a method raised an exception."""

from __future__ import annotations

import inspect
import traceback
from pathlib import Path

from methods.base import Method


class Failed(AssertionError):
    """The method fails the check; the message says why."""


class DoesNotApply(Exception):
    """The check does not apply to the method; the message says why."""


class Blocked(DoesNotApply):
    """The check cannot be run, because of an exception that another check shows."""


def place_of(error: Exception, method: type[Method]) -> str:
    """Return where an exception was raised, as FILE:LINE.

    It is the innermost line in the method's file; if there is none, the innermost one in a file of
    its base classes; else the innermost one of all.

    Args:
        error: An exception that was raised.
        method: The method that was checked.
    """
    frames = traceback.extract_tb(error.__traceback__)
    for file in _files(method):
        if lines := [frame.lineno for frame in frames if Path(frame.filename) == file]:
            return f"{_shown(file)}:{lines[-1]}"
    return f"{_shown(Path(frames[-1].filename))}:{frames[-1].lineno}"


def _files(method: type[Method]) -> list[Path]:
    """Return the files of a method and its base classes, its own first."""
    files: list[Path] = []
    for kind in method.__mro__:
        if kind is Method:
            break
        try:
            files.append(Path(inspect.getfile(kind)))
        except (OSError, TypeError):  # made in an interpreter, or built in
            continue
    return files


def _shown(file: Path) -> Path:
    folder = Path.cwd()
    return file.relative_to(folder) if file.is_relative_to(folder) else file

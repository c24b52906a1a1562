"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import TYPE_CHECKING, Any

from bench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def write_text(file: Path, text: str) -> None:
    """Write a text file: to a temporary name first, then renamed."""
    partial = _partial(file)
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


def write_named(file: Path, text: str) -> None:
    """Write a text file that the user named, in a folder that is made if it is missing.

    Raises:
        UserError: It cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, text)
    except OSError as error:
        raise UserError(f"{file}: cannot be written: {error.strerror}") from None


def write_json(file: Path, content: Any) -> None:
    """Write JSON, indented; what JSON has no form for is written as text."""
    write_text(file, json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")


def write_parquet(file: Path, frame: pd.DataFrame) -> None:
    """Write a table as Parquet."""
    partial = _partial(file)
    frame.to_parquet(partial, index=False)
    partial.replace(file)


def _partial(file: Path) -> Path:
    return file.with_name(f".{file.name}.partial")


def storage_problem(folder: Path) -> str:
    """Return why nothing can be written to a folder, in one line; "" if something can."""
    try:
        with NamedTemporaryFile(dir=folder) as file:
            # More than a disk has left over when it is said to be full.
            file.write(b"\0" * 2**16)
            file.flush()
    except OSError as error:
        return f"{folder}: cannot be written to: {error.strerror}"
    return ""


def read_named(file: Path, most: int) -> str:
    """Return the text of a file that the user named.

    Args:
        file: The file. A pipe or a device, which may have no end, is not read.
        most: The largest size (bytes).

    Raises:
        UserError: It cannot be read, is larger, or is not UTF-8 text.
    """
    try:
        if file.exists() and not file.is_file():
            raise UserError(f"{file}: must be a file")
        with file.open("rb") as opened:
            content = opened.read(most + 1)
        if len(content) > most:
            raise UserError(f"{file}: is too large: at most {most // 1024:,} kB are read")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{file}: is not UTF-8 text") from None
    except (OSError, ValueError) as error:  # ValueError: of a name with a null character
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{file}: cannot be read: {reason}") from None


def check_can_be_made(folder: Path) -> None:
    """Check that a folder can be made and written to. Nothing stays written.

    Raises:
        UserError: Something there is no folder, or may not be written to.
    """
    try:
        nearest = next(place for place in (folder, *folder.absolute().parents) if _is_there(place))
        longest = os.pathconf(nearest, "PC_NAME_MAX")
        if any(len(os.fsencode(part)) > longest for part in folder.parts):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        with TemporaryDirectory(dir=nearest):
            pass
    except OSError as error:
        raise UserError(f"{folder}: cannot be written to: {error.strerror}") from None


def check_can_be_written(file: Path) -> None:
    """Check that a file that the user named can be written. Nothing stays written.

    Raises:
        UserError: It cannot.
    """
    try:
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as error:
        raise UserError(f"{file}: cannot be written: {error.strerror}") from None
    check_can_be_made(file.parent)


def _is_there(place: Path) -> bool:
    """Return whether something is there, a broken link included.

    Raises:
        OSError: It cannot be: the name is too long, or a part of it is a file.
    """
    try:
        place.lstat()
    except FileNotFoundError:
        return False
    return True


def check_writable(*folders: Path) -> None:
    """Make the folders.

    Raises:
        UserError: A folder cannot be made or written to.
    """
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: cannot be written to: {error.strerror}") from None
        if problem := storage_problem(folder):
            raise UserError(problem)

"""Files that are written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import NamedTemporaryFile
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


def check_writable(folder: Path) -> None:
    """Make the folder.

    Raises:
        UserError: The folder cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"{folder}: cannot be written to: {error.strerror}") from None

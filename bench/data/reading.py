"""Recorded preference data, row by row, from files, folders and the hub."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from bench.data.lines import json_rows, jsonl_rows
from bench.data.rows import (
    MOST_ROW,
    MOST_ROWS,
    MOST_TEXT,
    REMEDY,
    BadRow,
    Code,
    Row,
    characters,
)
from bench.data.stored import folder_rows, hub_rows
from bench.data.tables import csv_rows, parquet_rows
from bench.errors import UserError

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".csv", ".csv.gz", ".parquet")
NAME = r"[A-Za-z0-9][\w.-]*"
HUB = re.compile(rf"{NAME}/{NAME}(:[\w.-]+)?", re.ASCII)


def read_rows(source: str, split: str = "train") -> Iterator[Row | BadRow]:
    """Yield the rows of a file, a folder or a data set on the hub.

    Args:
        source: A path, or owner/name or owner/name:config on the hub.
        split: Which split to read, of a folder or a data set.

    Raises:
        UserError: At the first row or later: the source does not exist, cannot be read, has no
            rows, or more than can be kept in memory. A row that cannot be read is a `BadRow`
            instead.
    """
    count = total = 0
    with _readable(source):
        for count, row in enumerate(_rows(source, split), start=1):
            size = characters(row.fields) if isinstance(row, Row) else 0
            total += size
            if count > MOST_ROWS:
                raise UserError(f"{source}: has more than {MOST_ROWS:,} rows; {REMEDY}")
            if total > MOST_TEXT:
                raise too_much_text(source)
            yield row if size <= MOST_ROW else BadRow(row.line, Code.TOO_LONG, {})
    if not count:
        raise UserError(f"{source}: is empty: it has no rows")


def fingerprint(source: str, split: str = "train") -> str:
    """Return a hash that changes with the content of a source.

    For a data set on the hub it covers the id, the split and the revision. The revision is left
    out where the hub cannot be reached.

    Args:
        source: As for `read_rows`.
        split: As for `read_rows`; it does not count for a file.

    Returns:
        A SHA-256 in hexadecimal digits.

    Raises:
        UserError: The source does not exist or cannot be read.
    """
    with _readable(source):
        place = _place(source)
        if place is None:
            return _digest([source, split, _revision(source.partition(":")[0])])
        if place.is_file():
            return _content(place)
        return _digest([split, [(name, _content(file)) for name, file in _files(place)]])


def _place(source: str) -> Path | None:
    """Return where the source is on this machine, None for the hub."""
    place = Path(source).expanduser()
    if place.is_file() or place.is_dir():
        return place
    if place.exists():
        raise UserError(f"{source}: must be a file or a folder")
    if source.lower().endswith(SUFFIXES):
        raise UserError(f"{source}: no such file")
    if not HUB.fullmatch(source):
        raise UserError(
            f"{source}: no such file or folder; a data set on the hub is owner/name or "
            "owner/name:config"
        )
    return None


def _rows(source: str, split: str) -> Iterator[Row | BadRow]:
    place = _place(source)
    if place is None:
        yield from hub_rows(source, split)
    elif place.is_dir():
        yield from folder_rows(source, place, split)
    elif not place.name.lower().endswith(SUFFIXES):
        raise UserError(f"{source}: unknown file type; allowed: {', '.join(SUFFIXES)}")
    elif place.suffix.lower() == ".parquet":
        yield from parquet_rows(source, place)
    else:
        with _opened(place) as file:
            yield from _text_rows(source, place, file)


def _text_rows(source: str, place: Path, file: BinaryIO) -> Iterator[Row | BadRow]:
    kind = Path(place.name.lower().removesuffix(".gz")).suffix
    file = io.BufferedReader(_Bounded(source, file), 2**20)
    if kind == ".jsonl":
        return jsonl_rows(source, file)
    return json_rows(source, file) if kind == ".json" else csv_rows(source, file)


class _Bounded(io.RawIOBase):
    """A file that ends with a UserError after MOST_TEXT bytes: a short gzip file may hold any."""

    def __init__(self, source: str, file: BinaryIO) -> None:
        self._source, self._file, self._total = source, file, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._file.read(len(buffer))
        self._total += len(content)
        if self._total > MOST_TEXT:
            raise too_much_text(self._source)
        buffer[: len(content)] = content
        return len(content)


def too_much_text(source: str) -> UserError:
    """Return the error of a source with more text than is kept in memory."""
    return UserError(f"{source}: has more than {MOST_TEXT // 2**30} GB of text; {REMEDY}")


def _opened(place: Path) -> BinaryIO:
    if place.suffix.lower() == ".gz":
        return gzip.GzipFile(place, "rb")  # type: ignore[return-value]
    return place.open("rb")


@contextmanager
def _readable(source: str) -> Iterator[None]:
    """Turn errors of the system and of gzip into UserErrors."""
    try:
        yield
    except (gzip.BadGzipFile, zlib.error):
        raise UserError(f"{source}: is not gzip, or broken") from None
    except EOFError:
        raise UserError(f"{source}: is cut off: gzip has no end") from None
    except OSError as error:
        raise UserError(f"{source}: cannot be read: {error.strerror or error}") from None


def _content(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _files(folder: Path) -> list[tuple[str, Path]]:
    """Return the names and paths of a folder's files in order, without hidden ones."""
    named = [(file.relative_to(folder), file) for file in folder.rglob("*") if file.is_file()]
    # A file name need not be valid text.
    return sorted(
        (os.fsencode(name).hex(), file)
        for name, file in named
        if not any(part.startswith(".") for part in name.parts)
    )


def _digest(parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _revision(name: str) -> str | None:
    from huggingface_hub import HfApi

    try:
        return HfApi().dataset_info(name, timeout=20).sha
    # Offline, unknown or not allowed: reading the rows says which.
    except Exception:
        return None

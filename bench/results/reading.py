"""Reading the files of tables strictly: a file that is damaged is an error, never half a table."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import UserError, reason_of

# Of a value in a message.
MOST_CHARACTERS = 60


def read_rows(file: Path, names: Sequence[str]) -> pd.DataFrame:
    """Return the columns of a file that have these names; cells of CSV are text, as they are.

    Raises:
        UserError: The file cannot be read, or is damaged.
    """
    if not file.is_file():
        raise UserError(f"{file}: is not a file")
    try:
        read = _read_parquet if file.suffix == ".parquet" else _read_csv
        return read(file, names)
    except UserError:
        raise
    except UnicodeDecodeError:
        raise UserError(f"{file}: is not UTF-8 text") from None
    # What a library raises for a damaged file may be anything.
    except Exception as error:
        raise UserError(f"{file}: cannot be read: {reason_of(error)}") from None


def _read_csv(file: Path, names: Sequence[str]) -> pd.DataFrame:
    _check_csv(file)
    # As text, so that a method or an error called "NA" stays what it is.
    frame = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    return frame[[name for name in names if name in frame]]


def _check_csv(file: Path) -> None:
    """Raise UserError unless a CSV file has one header, and rows with as many cells."""
    rows = _csv_rows(file)
    _, header = next(rows, (0, []))
    if not header:
        raise UserError(f"{file}: is empty; a table has a line with the names of its columns")
    _check_unique(file, header)
    for line, row in rows:
        if row == header:
            raise UserError(f"{file}: line {line}: is the header again; remove it")
        if len(row) != len(header):
            raise UserError(
                f"{file}: line {line}: has {len(row)} cells; the header has {len(header)}"
            )


def _csv_rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file, the header first, with the line that each begins on."""
    # A response or an error may be longer than the usual limit.
    csv.field_size_limit(sys.maxsize)
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, strict=True)
        line = 1
        try:
            for row in reader:
                if row:
                    yield line, row
                line = reader.line_num + 1
        except csv.Error as error:
            raise UserError(f"{file}: line {line}: cannot be read as CSV: {error}") from None


def _read_parquet(file: Path, names: Sequence[str]) -> pd.DataFrame:
    from pyarrow.parquet import ParquetFile

    with ParquetFile(file) as content:
        header = content.schema_arrow.names
        _check_unique(file, header)
        table = content.read(columns=[name for name in names if name in header])
    # What pandas notes in a file about its index is no column.
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    return frame


def _check_unique(file: Path, header: Sequence[str]) -> None:
    if twice := [name for name in header if header.count(name) > 1]:
        raise UserError(f"{file}: column {shown(twice[0])} is there twice")


def place_of(file: Path, row: int) -> str:
    """Return where a row of a table is, for messages: file and line.

    Args:
        file: The table's file.
        row: Its place among the rows, from 0.
    """
    if file.suffix == ".parquet":
        return f"{file}: row {row + 1}"
    line, _ = next(islice(_csv_rows(file), row + 1, None))
    return f"{file}: line {line}"


def shown(value: Any) -> str:
    """Return a value in a message: text in quotes, in one line, cut where it is long."""
    text = json.dumps(value, ensure_ascii=True) if isinstance(value, str) else str(value)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}..."

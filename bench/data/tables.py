"""Rows of tables: CSV and Parquet."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from bench.data.lines import from_json
from bench.data.rows import MOST_ROW, MOST_ROWS, REMEDY, BadRow, Code, Row, RowProblem
from bench.errors import UserError

# A cell in these columns is text even where it is JSON, unless it is a list of turns.
TEXTS = ("prompt", "chosen", "rejected", "completion", "history", "human_ref_A", "human_ref_B")
BATCH = 1000
# Batches with more text than this are converted in parts (bytes).
MOST_BATCH = 64 * 2**20
SURROGATE = re.compile("[\ud800-\udfff]")


def csv_rows(source: str, file: BinaryIO) -> Iterator[Row | BadRow]:
    """Yield the rows below the header.

    Raises:
        UserError: The header is broken or names a column twice.
    """
    # The limit holds for the whole process. Here, that of a row is reached first.
    csv.field_size_limit(2 * MOST_ROW)
    # Bytes that are not UTF-8 become lone surrogates, so that only their row is lost.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    records = _records(source, text)
    _, header = next(records, (1, []))
    if isinstance(header, csv.Error):
        raise UserError(f"{source}: the header is not CSV: {header}")
    if not _is_utf8(header) or any("\0" in name for name in header):
        raise UserError(f"{source}: the header is not UTF-8 text")
    if repeated := [name for name, times in Counter(header).items() if times > 1]:
        raise UserError(f"{source}: the header has {repeated[0]!r} more than once")
    for line, record in records:
        yield _row(line, header, record)


def _records(source: str, text: io.TextIOBase) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Yield each record that is not blank with the line on which it begins.

    Raises:
        UserError: A record is too long, or there are too many lines.
    """
    line = size = 0

    def lines() -> Iterator[str]:
        nonlocal size
        while part := text.readline(MOST_ROW + 1):
            size += len(part)
            if size > MOST_ROW:
                raise UserError(
                    f"{source}: the row that begins in line {line} has more than "
                    f"{MOST_ROW // 2**20} MB: is a quote not closed?"
                )
            yield part

    reader = csv.reader(lines(), strict=True)
    while True:
        line, size = reader.line_num + 1, 0
        if line > MOST_ROWS:
            raise UserError(f"{source}: has more than {MOST_ROWS:,} lines; {REMEDY}")
        try:
            record: list[str] | csv.Error = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            record = error
        if record:
            yield line, record


def _row(line: int, header: list[str], record: list[str] | csv.Error) -> Row | BadRow:
    if isinstance(record, csv.Error):
        return BadRow(line, Code.NOT_CSV, {"message": str(record)})
    if not _is_utf8(record):
        return BadRow(line, Code.NOT_UTF8, {})
    if len(record) != len(header):
        code = Code.TOO_FEW_CELLS if len(record) < len(header) else Code.TOO_MANY_CELLS
        return BadRow(line, code, {"cells": len(record), "columns": len(header)})
    return Row(line, {name: _cell(name, cell) for name, cell in zip(header, record, strict=True)})


def _is_utf8(cells: list[str]) -> bool:
    return not any(SURROGATE.search(cell) for cell in cells)


def _cell(name: str, cell: str) -> Any:
    """Return the list or object that the cell is in JSON, else its text."""
    if not cell.lstrip().startswith(("[", "{")):
        return cell
    try:
        value = from_json(cell)
    except RowProblem:
        return cell
    return cell if name in TEXTS and not _are_turns(value) else value


def _are_turns(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(turn, dict) and {"role", "content"} <= set(turn) for turn in value
    )


def parquet_rows(source: str, file: Path) -> Iterator[Row | BadRow]:
    """Yield the rows of a Parquet file, with plain Python values.

    Raises:
        UserError: The file cannot be read as Parquet, or has a column twice.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(file) as table:
            names = table.schema_arrow.names
            if len(set(names)) < len(names):
                raise UserError(f"{source}: has a column more than once")
            number = 1
            for batch in table.iter_batches(BATCH):
                yield from _batch(number, batch)
                number += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{source}: not readable as Parquet: {' '.join(str(error).split())}"
        ) from None


def _batch(first: int, batch: Any) -> Iterator[Row | BadRow]:
    rows = batch.num_rows
    # A few bytes of a file can be much text: a row is then converted alone.
    if rows > 1 and sum(map(_most_bytes, batch.columns)) > MOST_BATCH:
        yield from _batch(first, batch.slice(0, rows // 2))
        yield from _batch(first + rows // 2, batch.slice(rows // 2))
        return
    try:
        columns = [_values(column) for column in batch.columns]
    except UnicodeDecodeError:
        # Find the rows whose text is broken.
        if rows == 1:
            yield BadRow(first, Code.NOT_UTF8, {})
            return
        for place in range(rows):
            yield from _batch(first + place, batch.slice(place, 1))
        return
    names = batch.schema.names
    for place, values in enumerate(zip(*columns, strict=True)):
        yield Row(first + place, dict(zip(names, values, strict=True)))


def _most_bytes(column: Any) -> int:
    """Return at most how many bytes the values of a column take."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    try:
        longest = pc.max(pc.binary_length(column.dictionary)).as_py()
    except pa.ArrowException:  # not text
        longest = 0
    return len(column) * (longest or 0)


def _values(column: Any) -> list[Any]:
    """Return a column's values; None for all where Python has no type for one of them."""
    try:
        return list(column.to_pylist())
    except (UnicodeDecodeError, MemoryError):
        raise
    except Exception:  # such as a date in the year 100,000, which no column of ours holds
        return [None] * len(column)

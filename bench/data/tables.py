"""Rows of tables: CSV and Parquet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from bench.data.lines import from_json
from bench.data.rows import BadRow, Code, Row, RowProblem
from bench.errors import UserError

# A cell in these columns is text even where it is JSON, unless it is a list of turns.
TEXTS = ("prompt", "chosen", "rejected", "completion", "history", "human_ref_A", "human_ref_B")
BATCH = 1000
SURROGATE = re.compile("[\ud800-\udfff]")


def csv_rows(source: str, file: BinaryIO) -> Iterator[Row | BadRow]:
    """Yield the rows below the header.

    Raises:
        UserError: The header is broken or names a column twice.
    """
    # The limit holds for the whole process. It guards against an open quote, which strict refuses.
    csv.field_size_limit(2**31 - 1)
    # Bytes that are not UTF-8 become lone surrogates, so that only their row is lost.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    records = _records(text)
    _, header = next(records, (1, []))
    if isinstance(header, csv.Error):
        raise UserError(f"{source}: the header is not CSV: {header}")
    if not _is_utf8(header):
        raise UserError(f"{source}: the header is not UTF-8 text")
    if repeated := [name for name in header if header.count(name) > 1]:
        raise UserError(f"{source}: the header has {repeated[0]!r} more than once")
    for line, record in records:
        yield _row(line, header, record)


def _records(text: io.TextIOBase) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Yield each record that is not blank with the line on which it begins."""
    reader = csv.reader(text, strict=True)
    while True:
        line = reader.line_num + 1
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
    try:
        rows = batch.to_pylist()
    except UnicodeDecodeError:
        # Find the rows whose text is broken.
        if batch.num_rows == 1:
            yield BadRow(first, Code.NOT_UTF8, {})
            return
        for place in range(batch.num_rows):
            yield from _batch(first + place, batch.slice(place, 1))
        return
    yield from (Row(number, fields) for number, fields in enumerate(rows, start=first))

"""Rows of tables: CSV and Parquet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from bench.data.rows import NOT_UTF8, Row, from_json
from bench.errors import UserError

# A cell of theirs is text even where it is JSON, unless it is a list of turns.
TEXTS = ("prompt", "chosen", "rejected", "completion", "history", "human_ref_A", "human_ref_B")
BATCH = 1000
SURROGATE = re.compile("[\ud800-\udfff]")


def csv_rows(source: str, file: BinaryIO) -> Iterator[Row]:
    """Yield the rows below the header. Raises UserError for a header that is none."""
    # The limit is the whole process's and guards against what strict refuses: an open quote.
    csv.field_size_limit(2**31 - 1)
    # What is not UTF-8 becomes lone surrogates, so that it costs its row and not the file.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    records = _records(text)
    _, header = next(records, (1, []))
    if isinstance(header, csv.Error):
        raise UserError(f"{source}: the header is not CSV: {header}")
    if not _is_utf8(header):
        raise UserError(f"{source}: the header is {NOT_UTF8}")
    if twice := [name for name in header if header.count(name) > 1]:
        raise UserError(f"{source}: the header has {twice[0]!r} more than once")
    for line, record in records:
        yield _row(line, header, record)


def _records(text: io.TextIOBase) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Yield each record that is not blank with the line in which it begins."""
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


def _row(line: int, header: list[str], record: list[str] | csv.Error) -> Row:
    if isinstance(record, csv.Error):
        return Row(line, None, f"not CSV: {record}")
    if not _is_utf8(record):
        return Row(line, None, NOT_UTF8)
    if len(record) != len(header):
        few = "few" if len(record) < len(header) else "many"
        counts = f"{len(record)} where the header has {len(header)}"
        return Row(line, None, f"too {few} cells: {counts}")
    return Row(line, {name: _cell(name, cell) for name, cell in zip(header, record, strict=True)})


def _is_utf8(cells: list[str]) -> bool:
    return not any(SURROGATE.search(cell) for cell in cells)


def _cell(name: str, cell: str) -> Any:
    """Return a list or an object where the cell is one in JSON, else the text as it is."""
    if not cell.lstrip().startswith(("[", "{")):
        return cell
    try:
        value = from_json(cell)
    except ValueError:
        return cell
    return cell if name in TEXTS and not _are_turns(value) else value


def _are_turns(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(turn, dict) and {"role", "content"} <= set(turn) for turn in value
    )


def parquet_rows(source: str, file: Path) -> Iterator[Row]:
    """Yield the rows of a Parquet file, values as plain Python ones. Raises UserError."""
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


def _batch(first: int, batch: Any) -> Iterator[Row]:
    try:
        rows = batch.to_pylist()
    except UnicodeDecodeError:
        # Some text in it is broken: find the rows that have it.
        if batch.num_rows == 1:
            yield Row(first, None, NOT_UTF8)
            return
        for place in range(batch.num_rows):
            yield from _batch(first + place, batch.slice(place, 1))
        return
    yield from (Row(number, fields) for number, fields in enumerate(rows, start=first))

"""Rows of JSON: one in each line, or all in a list."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import BinaryIO

from bench.data.rows import NOT_UTF8, Row, from_json, to_row
from bench.errors import UserError

BLANK = b" \t\r\n"


def jsonl_rows(lines: Iterable[bytes]) -> Iterator[Row]:
    """Yield a row for each line that is not blank. What is wrong with a line is its row's error."""
    # Bytes end their lines with \n only; text would also end them at \u2028, which JSON allows.
    for number, line in enumerate(lines, start=1):
        content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if content := content.strip(BLANK):
            yield _row(number, content)


def _row(number: int, content: bytes) -> Row:
    try:
        return to_row(number, from_json(content.decode("utf-8")))
    except UnicodeDecodeError:
        return Row(number, None, NOT_UTF8)
    except ValueError as error:
        return Row(number, None, f"not JSON: {error}")


def json_rows(source: str, file: BinaryIO) -> Iterator[Row]:
    """Yield the rows of a JSON list, or of lines. Raises UserError for a broken list."""
    content = file.read().removeprefix(codecs.BOM_UTF8)
    if not content.lstrip(BLANK).startswith(b"["):
        return jsonl_rows(BytesIO(content))
    try:
        values = from_json(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise UserError(f"{source}: is {NOT_UTF8}") from None
    except ValueError as error:
        raise UserError(f"{source}: must be a JSON list, but is not JSON: {error}") from None
    return (to_row(number, value) for number, value in enumerate(values, start=1))

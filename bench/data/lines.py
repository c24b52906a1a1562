"""Rows of JSON: one on each line, or all in a list."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from io import BufferedReader
from typing import Any, BinaryIO

from bench.data.rows import MOST_ROW, MOST_ROWS, REMEDY, BadRow, Code, Row, RowProblem
from bench.errors import UserError

BLANK = b" \t\r\n"
# The longest JSON list (bytes). It is read as a whole, and takes several times as much memory.
MOST_LIST = 512 * 2**20


def jsonl_rows(source: str, file: BinaryIO) -> Iterator[Row | BadRow]:
    """Yield a row for each line that is not blank.

    Raises:
        UserError: There are too many lines.
    """
    # Bytes end their lines with \n only; text would also end them at \u2028, which JSON allows.
    for number, line in enumerate(_lines(file), start=1):
        if number > MOST_ROWS:
            raise UserError(f"{source}: has more than {MOST_ROWS:,} lines; {REMEDY}")
        content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if content := content.strip(BLANK):
            yield _row(number, content)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines; of one that is too long, only so much that this shows."""
    while line := file.readline(MOST_ROW + 1):
        yield line
        while len(line) > MOST_ROW and not line.endswith(b"\n"):
            line = file.readline(MOST_ROW + 1)


def _row(number: int, content: bytes) -> Row | BadRow:
    if len(content) > MOST_ROW:
        return BadRow(number, Code.TOO_LONG, {})
    try:
        return _to_row(number, from_json(content.decode("utf-8")))
    except UnicodeDecodeError:
        return BadRow(number, Code.NOT_UTF8, {})
    except RowProblem as problem:
        return BadRow.of(number, problem)


def _to_row(number: int, value: object) -> Row | BadRow:
    return Row(number, value) if isinstance(value, dict) else BadRow(number, Code.NOT_AN_OBJECT, {})


def from_json(text: str) -> Any:
    """Return the value that the text is in JSON.

    Raises:
        RowProblem: It is not JSON, or more than can be read.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise RowProblem(
            Code.NOT_JSON, message=error.msg, line=error.lineno, column=error.colno
        ) from None
    except RecursionError:
        raise RowProblem(Code.NESTED_TOO_DEEPLY) from None
    except ValueError:
        raise RowProblem(Code.TOO_MANY_DIGITS) from None


def json_rows(source: str, file: BufferedReader[Any]) -> Iterator[Row | BadRow]:
    """Yield the rows of a JSON list, or of lines.

    Raises:
        UserError: The list is broken, or too long to be read at once.
    """
    start = file.peek().removeprefix(codecs.BOM_UTF8)
    if not start.lstrip(BLANK).startswith(b"["):
        return jsonl_rows(source, file)
    content = file.read(MOST_LIST + 1).removeprefix(codecs.BOM_UTF8)
    if len(content) > MOST_LIST:
        raise UserError(
            f"{source}: is a JSON list of more than {MOST_LIST // 2**20} MB; write it as .jsonl"
        )
    try:
        values = json.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise UserError(f"{source}: is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise UserError(
            f"{source}: must be a JSON list, but is not JSON: {error.msg.removesuffix(' at')} at "
            f"line {error.lineno} column {error.colno}"
        ) from None
    except RecursionError:
        raise UserError(f"{source}: the JSON list is nested too deeply") from None
    except ValueError:
        raise UserError(f"{source}: the JSON list has a number with too many digits") from None
    return (_to_row(number, value) for number, value in enumerate(values, start=1))

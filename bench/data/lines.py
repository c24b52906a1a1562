"""Rows of JSON: one on each line, or all in a list."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any, BinaryIO

from bench.data.rows import BadRow, Code, Row, RowProblem
from bench.errors import UserError

BLANK = b" \t\r\n"


def jsonl_rows(lines: Iterable[bytes]) -> Iterator[Row | BadRow]:
    """Yield a row for each line that is not blank."""
    # Bytes end their lines with \n only; text would also end them at \u2028, which JSON allows.
    for number, line in enumerate(lines, start=1):
        content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if content := content.strip(BLANK):
            yield _row(number, content)


def _row(number: int, content: bytes) -> Row | BadRow:
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


def json_rows(source: str, file: BinaryIO) -> Iterator[Row | BadRow]:
    """Yield the rows of a JSON list, or of lines.

    Raises:
        UserError: The list is broken.
    """
    content = file.read().removeprefix(codecs.BOM_UTF8)
    if not content.lstrip(BLANK).startswith(b"["):
        return jsonl_rows(BytesIO(content))
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

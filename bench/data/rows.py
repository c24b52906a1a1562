"""One row of a source, and the JSON in it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

NOT_UTF8 = "not UTF-8 text"


class Row(NamedTuple):
    """What a source has in one place: fields, or None and the error that kept them from being read.

    line: where the row begins, counted from 1; for lists, Parquet and datasets the row's number.
    """

    line: int
    fields: dict[str, Any] | None
    error: str = ""


def to_row(line: int, value: object) -> Row:
    """Return what JSON made of a row as a row."""
    if isinstance(value, dict):
        return Row(line, value)
    return Row(line, None, "not an object")


def from_json(text: str) -> Any:
    """Return what the text says in JSON. Raises ValueError with what is wrong, in one line."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        # "Unterminated string starting at" and its like go on with the place.
        where = f"line {error.lineno} column" if error.lineno > 1 else "column"
        raise ValueError(f"{error.msg.removesuffix(' at')} at {where} {error.colno}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError:
        raise ValueError("a number with too many digits") from None

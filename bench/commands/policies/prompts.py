"""Reading prompts of one's own: text lines, or rows with a column `prompt`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.data.reading import read_rows
from bench.data.record import Record
from bench.data.rows import BadRow, Row, RowProblem
from bench.data.wording import row_problem_text
from bench.errors import UserError
from methods.core.models.text import to_prompt

TEXT_SUFFIXES = (".txt", ".md")


class Prompt(NamedTuple):
    """A prompt of a file.

    Attributes:
        line: Where it is in the file.
        text: The prompt as policies take it.
    """

    line: int
    text: str


def read_prompts(source: str, *, plain: bool = False) -> list[Prompt]:
    """Return the prompts of a file: each line of a text file, or each row's `prompt`.

    Args:
        source: A text file, or any source of rows that `read_rows` takes.
        plain: Whether responses continue the prompt's text, so that white space counts.

    Raises:
        UserError: The source cannot be read, or a row has no prompt. The message names its line.
    """
    if source.lower().endswith(TEXT_SUFFIXES):
        return _text_lines(source)
    return [_prompt(source, row.line, row.fields, plain) for row in _good_rows(source)]


def _good_rows(source: str) -> Iterator[Row]:
    for row in read_rows(source):
        if isinstance(row, BadRow):
            problem = RowProblem(row.code, **row.details)
            raise UserError(f"{source}: line {row.line}: {row_problem_text(problem)}")
        yield row


def _prompt(source: str, line: int, fields: dict[str, object], plain: bool) -> Prompt:
    record = Record(fields, {}, plain)
    if not record.has("prompt"):
        raise UserError(f"{source}: line {line}: no column 'prompt'")
    try:
        return Prompt(line, to_prompt(record.prompt()))
    except RowProblem as problem:
        raise UserError(f"{source}: line {line}: {row_problem_text(problem)}") from None


def _text_lines(source: str) -> list[Prompt]:
    try:
        content = Path(source).expanduser().read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{source}: is not UTF-8 text") from None
    except OSError as error:
        raise UserError(f"{source}: cannot be read: {error.strerror}") from None
    lines = enumerate(content.split("\n"), start=1)
    prompts = [Prompt(number, line.strip()) for number, line in lines if line.strip()]
    if not prompts:
        raise UserError(f"{source}: is empty: it has no prompts")
    return prompts

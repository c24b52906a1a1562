"""One row under our names for its columns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.data.rows import Code, RowProblem
from bench.data.turns import Message, cut_turns, prompt_turns, stripped, to_message
from methods.core.models.text import Turns, to_prompt


@dataclass(frozen=True)
class Record:
    """A row's fields. Its methods raise RowProblem where a column holds something else.

    Attributes:
        fields: The values by column.
        columns: The row's names for our columns, where they differ.
        plain: Whether answers continue the prompt's text, so that white space counts.
    """

    fields: Mapping[str, Any]
    columns: Mapping[str, str]
    plain: bool = False

    def name(self, column: str) -> str:
        """Return the row's name for a column."""
        return self.columns.get(column, column)

    def has(self, column: str) -> bool:
        return self.name(column) in self.fields

    def get(self, column: str) -> Any:
        return self.fields.get(self.name(column))

    def message(self, column: str) -> Message:
        """Return the text or turns of a column, without white space around them unless plain."""
        return self.clean(self.get(column), column)

    def clean(self, value: object, column: str) -> Message:
        """Return the same of one value of a column."""
        message = to_message(value, self.name(column))
        return message if self.plain else stripped(message)

    def prompt(self, column: str = "prompt") -> Turns:
        turns = prompt_turns(self.message(column), plain=self.plain)
        check_prompt(turns)
        return turns

    def answer(self, value: object, column: str) -> tuple[Turns, str]:
        """Return the turns before an answer, which text does not have, and the answer."""
        message = self.clean(value, column)
        return ([], message) if isinstance(message, str) else cut_turns(message, self.name(column))

    def binary(self, column: str) -> bool:
        value = self.get(column)
        if isinstance(value, str):
            value = {"true": 1, "1": 1, "false": 0, "0": 0}.get(value.strip().lower())
        if not isinstance(value, int | float) or value not in (0, 1):
            raise RowProblem(Code.NOT_BINARY, column=self.name(column))
        return bool(value)

    def numbers(self, column: str, count: int) -> list[float] | None:
        """Return distinct numbers, `count` of them; None where the row has none."""
        values = self.get(column)
        if values is None:
            return None
        if not isinstance(values, list) or not all(is_number(value) for value in values):
            raise RowProblem(Code.NOT_NUMBERS, column=self.name(column))
        if len(values) != count:
            raise RowProblem(Code.WRONG_COUNT, column=self.name(column))
        if len(set(values)) < count:
            raise RowProblem(Code.TIE)
        return values


def is_number(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def check_prompt(turns: Turns) -> None:
    if not any(turn["content"].strip() for turn in turns):
        raise RowProblem(Code.EMPTY_PROMPT)


def check_answers(*answers: str) -> None:
    if not all(answer.strip() for answer in answers):
        raise RowProblem(Code.EMPTY_ANSWER)
    if len(set(answers)) < len(answers):
        raise RowProblem(Code.EQUAL_ANSWERS)


def to_text(turns: Turns, *answers: str) -> str:
    """Return a prompt as text.

    Raises:
        RowProblem: The prompt is empty, or answers are empty or equal.
    """
    check_answers(*answers)
    check_prompt(turns)
    return to_prompt(turns)

"""One row under our names for its columns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.data.turns import Said, cut_turns, prompt_turns, stripped, to_said
from methods.core.models.text import Turns, to_prompt


@dataclass(frozen=True)
class Record:
    """A row. columns: our names to theirs; plain: answers go on in the prompt's text.

    What it is asked for raises ValueError where the row has something else.
    """

    fields: Mapping[str, Any]
    columns: Mapping[str, str]
    plain: bool = False

    def name(self, ours: str) -> str:
        return self.columns.get(ours, ours)

    def has(self, ours: str) -> bool:
        return self.name(ours) in self.fields

    def get(self, ours: str) -> Any:
        return self.fields.get(self.name(ours))

    def said(self, ours: str) -> Said:
        return self.clean(self.get(ours), ours)

    def clean(self, value: object, ours: str) -> Said:
        """Return a value of the column, checked, without white space around it unless plain."""
        said = to_said(value, self.name(ours))
        return said if self.plain else stripped(said)

    def prompt(self, ours: str = "prompt") -> Turns:
        turns = prompt_turns(self.said(ours), plain=self.plain)
        check_prompt(turns)
        return turns

    def answer(self, value: object, ours: str) -> tuple[Turns, str]:
        """Return an answer, which text is by itself, and the turns before it."""
        said = self.clean(value, ours)
        return ([], said) if isinstance(said, str) else cut_turns(said, self.name(ours))

    def binary(self, ours: str) -> bool:
        value = self.get(ours)
        if isinstance(value, str):
            value = {"true": 1, "1": 1, "false": 0, "0": 0}.get(value.strip().lower())
        if not isinstance(value, int | float) or value not in (0, 1):
            raise ValueError(f"'{self.name(ours)}' must be 0 or 1, or true or false")
        return bool(value)

    def numbers(self, ours: str, count: int) -> list[float] | None:
        """Return so many different numbers, or None where the row has none."""
        values = self.get(ours)
        if values is None:
            return None
        if not isinstance(values, list) or not all(is_number(value) for value in values):
            raise ValueError(f"'{self.name(ours)}' must be a list of numbers")
        if len(values) != count:
            raise ValueError(f"'{self.name(ours)}' must have one number for each response")
        if len(set(values)) < count:
            raise ValueError("a tie")
        return values


def is_number(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def check_prompt(turns: Turns) -> None:
    if not any(turn["content"].strip() for turn in turns):
        raise ValueError("an empty prompt")


def check_answers(*answers: str) -> None:
    if not all(answer.strip() for answer in answers):
        raise ValueError("an empty answer")
    if len(set(answers)) < len(answers):
        raise ValueError("equal answers")


def to_text(turns: Turns, *answers: str) -> str:
    """Return the prompt as text, having checked it and the answers. Raises ValueError."""
    check_answers(*answers)
    check_prompt(turns)
    return to_prompt(turns)

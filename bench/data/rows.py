"""One row of a source, and why a row cannot be used."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

# The most of one row, and of all rows of a source together (bytes or characters), and the most rows
# or lines. No model takes a text of more than MOST_ROW, and the labels are kept in memory.
MOST_ROW, MOST_TEXT, MOST_ROWS = 4 * 2**20, 4 * 2**30, 10_000_000
# What to do about a source that has more.
REMEDY = "set rows to read fewer, or split the data"


class Code(StrEnum):
    """Why a row cannot be used. `wording.py` has the text for each, and lists the details."""

    # The row cannot be read.
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    NESTED_TOO_DEEPLY = "nested_too_deeply"
    TOO_MANY_DIGITS = "too_many_digits"
    TOO_LONG = "too_long"
    NOT_CSV = "not_csv"
    TOO_FEW_CELLS = "too_few_cells"
    TOO_MANY_CELLS = "too_many_cells"
    # Its columns are of no form, or of another than the rows before.
    UNKNOWN_FORM = "unknown_form"
    MISSING_COLUMNS = "missing_columns"
    MIXED_FORMS = "mixed_forms"
    # A column has something else than its form says.
    NOT_TEXT_OR_TURNS = "not_text_or_turns"
    TEXT_AND_TURNS = "text_and_turns"
    LONE_SURROGATE = "lone_surrogate"
    NUL_CHARACTER = "nul_character"
    UNKNOWN_ROLE = "unknown_role"
    TURN_WITHOUT_TEXT = "turn_without_text"
    NO_ASSISTANT_AT_END = "no_assistant_at_end"
    NOT_BINARY = "not_binary"
    NOT_NUMBERS = "not_numbers"
    WRONG_COUNT = "wrong_count"
    NOT_RESPONSES = "not_responses"
    NO_POST = "no_post"
    NOT_TWO_SUMMARIES = "not_two_summaries"
    # It says nothing that can be learned from.
    EMPTY_PROMPT = "empty_prompt"
    EMPTY_ANSWER = "empty_answer"
    EQUAL_ANSWERS = "equal_answers"
    TIE = "tie"
    NO_SHARED_START = "no_shared_start"
    DIFFERENT_DIALOGUES = "different_dialogues"
    DIFFERENT_PROMPT = "different_prompt"
    # The model cannot take it.
    SPECIAL_TOKEN = "special_token"
    TEMPLATE_ERROR = "template_error"
    PROMPT_TOO_LONG = "prompt_too_long"
    EQUAL_WHEN_CUT = "equal_when_cut"


class RowProblem(ValueError):
    """A row cannot be used.

    Attributes:
        code: Why.
        details: What the text for people names, such as the column. Values that JSON can hold.
    """

    def __init__(self, code: Code, **details: Any) -> None:
        super().__init__(str(code))
        self.code = code
        self.details = details


class Row(NamedTuple):
    """A row that could be read.

    Attributes:
        line: Where the row begins, counted from 1; for lists, Parquet and data sets its number.
        fields: The values by column.
    """

    line: int
    fields: dict[str, Any]


def characters(value: object) -> int:
    """Return how many characters of text a value holds, at any depth."""
    total, values = 0, [value]
    while values:
        match values.pop():
            case str() | bytes() as text:
                total += len(text)
            case dict() as fields:
                values += [*fields, *fields.values()]
            case list() as items:
                values += items
    return total


class BadRow(NamedTuple):
    """A row that cannot be used.

    Attributes:
        line: As for `Row`.
        code: Why.
        details: As for `RowProblem`.
    """

    line: int
    code: Code
    details: dict[str, Any]

    @classmethod
    def of(cls, line: int, problem: RowProblem) -> BadRow:
        """Return the row at a line that has a problem."""
        return cls(line, problem.code, problem.details)

"""The text for people on recorded data: why rows are left out, and how many.

Stages must not import it: then a new wording makes no artifact anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from bench.data.checks import ProblemCount, TooManyBadRowsError
from bench.data.forms import FORMS
from bench.data.rows import MOST_ROW, Code, RowProblem
from bench.data.turns import ROLES

# A form's name: what one such row and many are called.
FORM_NAMES = {
    "pair": ("a pair", "pairs"),
    "bare_pair": ("a pair without a prompt", "pairs without a prompt"),
    "unpaired": ("an unpaired label", "unpaired labels"),
    "ranking": ("a ranking", "rankings"),
    "shp": ("a pair of SHP", "pairs of SHP"),
    "summaries": ("a comparison of summaries", "comparisons of summaries"),
}
# Each code's text, filled in with the details of the row.
PROBLEMS = {
    Code.NOT_UTF8: "not UTF-8 text",
    Code.NOT_JSON: "not JSON",
    Code.NOT_AN_OBJECT: "not an object",
    Code.NESTED_TOO_DEEPLY: "JSON that is nested too deeply",
    Code.TOO_MANY_DIGITS: "a number with too many digits",
    Code.TOO_LONG: "a row of more than {megabytes} MB",
    Code.NOT_CSV: "not CSV",
    Code.TOO_FEW_CELLS: "too few cells",
    Code.TOO_MANY_CELLS: "too many cells",
    Code.UNKNOWN_FORM: "columns of no known form: allowed are {forms}",
    Code.MISSING_COLUMNS: "no {missing}",
    Code.MIXED_FORMS: "{one} among {many}",
    Code.NOT_TEXT_OR_TURNS: "'{column}' must be text or a list of turns",
    Code.TEXT_AND_TURNS: "{both} must both be text or both lists of turns",
    Code.LONE_SURROGATE: "'{column}' has half a character (a lone surrogate)",
    Code.NUL_CHARACTER: "'{column}' has a NUL character",
    Code.UNKNOWN_ROLE: "a turn of '{column}' must have one of the roles {roles}",
    Code.TURN_WITHOUT_TEXT: "a turn of '{column}' must have text as its content",
    Code.NO_ASSISTANT_AT_END: "'{column}' must end with a turn of the assistant",
    Code.NOT_BINARY: "'{column}' must be 0 or 1, or true or false",
    Code.NOT_NUMBERS: "'{column}' must be a list of numbers",
    Code.WRONG_COUNT: "'{column}' must have one number for each response",
    Code.NOT_RESPONSES: "'{column}' must be a list of two or more responses",
    Code.NO_POST: "'{column}' must be an object with the text 'post'",
    Code.NOT_TWO_SUMMARIES: "'{column}' must be a list of two objects with 'text'",
    Code.EMPTY_PROMPT: "an empty prompt",
    Code.EMPTY_ANSWER: "an empty answer",
    Code.EQUAL_ANSWERS: "equal answers",
    Code.TIE: "a tie",
    Code.NO_SHARED_START: "no shared start",
    Code.DIFFERENT_DIALOGUES: "dialogues that differ before the last answer",
    Code.DIFFERENT_PROMPT: "another prompt in the answer's dialogue",
    Code.SPECIAL_TOKEN: "the model's special token {token} in its text",
    Code.TEMPLATE_ERROR: "a row that the chat template refuses",
    Code.PROMPT_TOO_LONG: "a prompt of more than {tokens} tokens",
    Code.EQUAL_WHEN_CUT: "answers that are equal in their first {tokens} tokens",
}
# What one row of a kind adds, where that differs from row to row.
EXAMPLES = {
    Code.NOT_JSON: "{message} at {place}",
    Code.NOT_CSV: "{message}",
    Code.TOO_FEW_CELLS: "{cells} where the header has {columns}",
    Code.TOO_MANY_CELLS: "{cells} where the header has {columns}",
    Code.TEMPLATE_ERROR: "{message}",
}


class ProblemText(NamedTuple):
    """A problem in words.

    Attributes:
        kind: The same for all rows of the kind.
        example: What the row at hand adds, often empty.
    """

    kind: str
    example: str


def problem_text(code: str, details: Mapping[str, Any]) -> ProblemText:
    """Return a problem in words.

    Args:
        code: A value of `Code`.
        details: As they come with the code.
    """
    values = _values(Code(code), details)
    kind, example = PROBLEMS[Code(code)], EXAMPLES.get(Code(code), "")
    return ProblemText(kind.format(**values), example.format(**values))


def _values(code: Code, details: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the texts name: the details, and what is made from them."""
    values = dict(details)
    match code:
        case Code.NOT_JSON:
            # "Unterminated string starting at" and its like go on with the place.
            values["message"] = details["message"].removesuffix(" at")
            place = f"column {details['column']}"
            values["place"] = f"line {details['line']} {place}" if details["line"] > 1 else place
        case Code.TOO_LONG:
            values["megabytes"] = MOST_ROW // 2**20
        case Code.UNKNOWN_FORM:
            values["forms"] = "; ".join(", ".join(form.needs) for form in FORMS)
        case Code.MISSING_COLUMNS:
            names = [f"'{name}'" for name in details["columns"]]
            values["missing"] = f"column{'s' if len(names) > 1 else ''} {', '.join(names)}"
        case Code.MIXED_FORMS:
            values["one"] = FORM_NAMES[details["form"]][0]
            values["many"] = FORM_NAMES[details["first"]][1]
        case Code.TEXT_AND_TURNS:
            values["both"] = " and ".join(f"'{name}'" for name in details["columns"])
        case Code.UNKNOWN_ROLE:
            values["roles"] = ", ".join(ROLES)
    return values


def row_problem_text(problem: RowProblem) -> str:
    """Return why one row cannot be used, on one line."""
    return ": ".join(filter(None, problem_text(problem.code, problem.details)))


def used_rows_text(source: str, used: int, bad: int) -> str:
    """Return how many rows of a source are used.

    Args:
        source: Where the rows come from.
        used: Number of good rows.
        bad: Number of bad rows.
    """
    summary = f"{source}: {used:,} of {used + bad:,} rows used"
    return f"{summary}, {bad:,} left out" if bad else summary


def problem_lines(problems: Iterable[ProblemCount]) -> list[str]:
    """Return a line for each kind of bad row: how many, why, and where."""
    return [_problem_line(problem) for problem in problems]


def _problem_line(problem: ProblemCount) -> str:
    kind, example = problem_text(problem.code, problem.details)
    first = f" (the first: {example})" if example else ""
    return f"{problem.rows:,} {kind}{first}: {_places(problem)}"


def _places(problem: ProblemCount) -> str:
    lines = ", ".join(str(line) for line in problem.lines)
    others = problem.rows - len(problem.lines)
    more = f" and {others:,} more" if others else ""
    return f"line{'s' if problem.rows > 1 else ''} {lines}{more}"


def too_many_bad_rows_text(source: str, error: TooManyBadRowsError) -> str:
    """Return why a source cannot be used, on one line.

    Args:
        source: Where the rows come from.
        error: What was raised.
    """
    bad = sum(problem.rows for problem in error.problems)
    kinds = "; ".join(problem_lines(error.problems))
    if not error.used:
        return f"{source}: no row of {bad:,} can be used: {kinds}"
    if error.largest_share is None:
        return (
            f"{source}: {bad:,} of the first {error.used + bad:,} rows cannot be used: {kinds}. "
            "No more is read"
        )
    return (
        f"{source}: {bad:,} of {error.used + bad:,} rows cannot be used: {kinds}. At most a share "
        f"of {error.largest_share:g} may be left out; bad_rows sets it, from 0 to 1"
    )

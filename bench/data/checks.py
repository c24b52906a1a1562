"""Which rows are used, and which are left out and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from bench.data.forms import Form, form_of
from bench.data.record import Record
from bench.data.rows import BadRow, Code, Row, RowProblem
from methods.core.feedback import Label

# So many lines are kept of each kind of bad row.
LINES_KEPT = 5
# The most bad rows that are kept in memory.
MOST_BAD = 1_000_000
# Codes whose details differ from row to row. All their rows count as one kind.
VARYING_DETAILS = frozenset(
    {
        Code.NOT_JSON,
        Code.NOT_CSV,
        Code.TOO_FEW_CELLS,
        Code.TOO_MANY_CELLS,
        Code.TEMPLATE_ERROR,
    }
)


class Checked(NamedTuple):
    """The rows of a source.

    Attributes:
        labels: What the good rows hold, [N].
        lines: Their lines, [N].
        bad: The rows that are left out.
    """

    labels: list[Label]
    lines: list[int]
    bad: list[BadRow]


class ProblemCount(NamedTuple):
    """One kind of bad row.

    Attributes:
        code: Why the rows are left out.
        details: Of the first such row. Values that JSON can hold.
        rows: How many there are.
        lines: The first of their lines.
    """

    code: str
    details: dict[str, Any]
    rows: int
    lines: list[int]


class TooManyBadRowsError(Exception):
    """No row can be used, or more are bad than the task allows.

    Attributes:
        used: Number of good rows.
        problems: The kinds of bad rows.
        largest_share: The largest share of bad rows that is allowed; None where there are more than
            are kept, so that not all rows were read.
    """

    def __init__(
        self, used: int, problems: list[ProblemCount], largest_share: float | None
    ) -> None:
        super().__init__(used, problems, largest_share)
        self.used = used
        self.problems = problems
        self.largest_share = largest_share


def check_rows(rows: Iterable[Row | BadRow], columns: Mapping[str, str], *, plain: bool) -> Checked:
    """Return the labels of the rows. The first good row sets the form of all.

    Args:
        rows: As they were read.
        columns: The rows' names for our columns, where they differ.
        plain: Whether answers continue the prompt's text.

    Raises:
        TooManyBadRowsError: More are bad than are kept.
    """
    checked = Checked([], [], [])
    first: Form | None = None
    for row in rows:
        if len(checked.bad) >= MOST_BAD:
            raise TooManyBadRowsError(len(checked.labels), count_problems(checked.bad), None)
        if isinstance(row, BadRow):
            checked.bad.append(row)
            continue
        try:
            form = form_of(row.fields, columns)
            if first is not None and form is not first:
                raise RowProblem(Code.MIXED_FORMS, form=form.name, first=first.name)
            label = form.read(Record(row.fields, columns, plain))
        except RowProblem as problem:
            checked.bad.append(BadRow.of(row.line, problem))
            continue
        first = form
        checked.labels.append(label)
        checked.lines.append(row.line)
    return checked


def sift(checked: Checked, check: Callable[[Label], None]) -> Checked:
    """Return the rows that pass a check; the others join the bad rows.

    Args:
        checked: The rows.
        check: Raises RowProblem where a label cannot be used.
    """
    labels, lines, bad = [], [], list(checked.bad)
    for label, line in zip(checked.labels, checked.lines, strict=True):
        try:
            check(label)
        except RowProblem as problem:
            bad.append(BadRow.of(line, problem))
        else:
            labels.append(label)
            lines.append(line)
    return Checked(labels, lines, sorted(bad, key=lambda row: row.line))


def require_enough(checked: Checked, largest_share: float) -> None:
    """Check that there are rows to use.

    Args:
        checked: The rows.
        largest_share: The largest share of bad rows that is allowed.

    Raises:
        TooManyBadRowsError: No row is good, or more are bad.
    """
    used, left_out = len(checked.labels), len(checked.bad)
    if not used or left_out > largest_share * (used + left_out):
        raise TooManyBadRowsError(used, count_problems(checked.bad), largest_share)


def count_problems(bad: Iterable[BadRow]) -> list[ProblemCount]:
    """Return the kinds of bad rows, the most frequent first."""
    kinds: dict[str, list[BadRow]] = {}
    for row in bad:
        details = {} if row.code in VARYING_DETAILS else row.details
        kinds.setdefault(json.dumps([row.code, details], sort_keys=True), []).append(row)
    return [
        ProblemCount(
            rows[0].code, rows[0].details, len(rows), [row.line for row in rows[:LINES_KEPT]]
        )
        for rows in sorted(kinds.values(), key=lambda rows: -len(rows))
    ]

"""Which rows are used, and which are left out for what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from bench.data.forms import Form, form_of
from bench.data.record import Record
from bench.data.rows import Row
from bench.errors import UserError
from methods.core.feedback import Label

SHOWN = 5


class BadRow(NamedTuple):
    """A row that is left out. what: why, in words that are the same for others of the kind."""

    line: int
    what: str


class Checked(NamedTuple):
    """What the rows say, the lines that say it, and the rows that say nothing."""

    labels: list[Label]
    lines: list[int]
    bad: list[BadRow]


def check_rows(
    rows: Iterable[Row],
    columns: Mapping[str, str],
    *,
    plain: bool,
    extra: Callable[[Label], str | None] | None = None,
) -> Checked:
    """Return the labels of the rows, all of the first good row's form.

    extra: says what else is wrong with a label, None where nothing is.
    """
    checked = Checked([], [], [])
    first: Form | None = None
    for row in rows:
        try:
            if row.fields is None:
                raise ValueError(row.error)
            form = form_of(row.fields, columns)
            if first is not None and form is not first:
                raise ValueError(f"{form.one} among {first.many}")
            label = form.read(Record(row.fields, columns, plain))
            if extra is not None and (wrong := extra(label)):
                raise ValueError(wrong)
        except ValueError as error:
            checked.bad.append(BadRow(row.line, str(error)))
            continue
        first = form
        checked.labels.append(label)
        checked.lines.append(row.line)
    return checked


def require_enough(where: str, checked: Checked, largest_share: float) -> None:
    """Raise UserError where no row is left, or a larger share than that is left out."""
    left_out, rows = len(checked.bad), len(checked.labels) + len(checked.bad)
    if checked.labels and left_out <= largest_share * rows:
        return
    kinds = "; ".join(kind.strip() for kind in _kinds(checked.bad))
    if not checked.labels:
        raise UserError(f"{where}: no row of {rows:,} can be used: {kinds}")
    raise UserError(
        f"{where}: {left_out:,} of {rows:,} rows cannot be used: {kinds}. At most a share of "
        f"{largest_share:g} may be left out; bad_rows sets it, from 0 to 1"
    )


def in_words(where: str, checked: Checked) -> list[str]:
    """Return lines for people: how many rows are used, and what is wrong with how many others."""
    used, left_out = len(checked.labels), len(checked.bad)
    summary = f"{where}: {used:,} of {used + left_out:,} rows used"
    return [f"{summary}, {left_out:,} left out" if left_out else summary, *_kinds(checked.bad)]


def _kinds(bad: Iterable[BadRow]) -> list[str]:
    """Return a line for each kind of bad row, the most frequent first."""
    kinds: dict[str, list[BadRow]] = {}
    for row in bad:
        kinds.setdefault(row.what.partition(":")[0], []).append(row)
    often = sorted(kinds.items(), key=lambda kind: -len(kind[1]))
    return [f"  {len(rows):,} {what}{_detail(rows[0])}: {_places(rows)}" for what, rows in often]


def _detail(first: BadRow) -> str:
    detail = first.what.partition(":")[2].strip()
    return f" (the first: {detail})" if detail else ""


def _places(rows: list[BadRow]) -> str:
    lines = ", ".join(f"{row.line}" for row in rows[:SHOWN])
    more = f" and {len(rows) - SHOWN:,} more" if len(rows) > SHOWN else ""
    return f"line{'s' if len(rows) > 1 else ''} {lines}{more}"

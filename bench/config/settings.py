"""A method's settings in an experiment: what is fixed, what is varied, and whether it is allowed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from bench.config.validation import build
from bench.errors import UserError
from methods.base import Method
from methods.core.feedback import DERIVABLE, KINDS, FeedbackKind


class Setting(NamedTuple):
    """A method at one setting.

    Attributes:
        name: The method's name.
        method: The method with all its hyper-parameters.
        params: Those that the experiment varies.
    """

    name: str
    method: Method
    params: dict[str, Any]


def settings_of(
    name: str, kind: type[Method], entry: Mapping[str, Any], task_entry: Mapping[str, Any]
) -> Iterator[Setting]:
    """Yield a method's settings on a task.

    Args:
        name: The method's name.
        kind: Its class.
        entry: What the experiment sets: fields, and under `grid` the values to try.
        task_entry: What differs on the task.

    Raises:
        UserError: A field is unknown, or a value is not allowed.
    """
    where = f"methods.{name}"
    fixed = {key: value for key, value in {**entry, **task_entry}.items() if key != "grid"}
    grid = grid_of(kind, entry, task_entry, where)
    check_strength(build(kind, fixed, where), where)
    for values in product(*grid.values()):
        params = dict(zip(grid, values, strict=True))
        yield Setting(name, build(kind, {**fixed, **params}, where), params)


def grid_of(
    kind: type[Method], entry: Mapping[str, Any], task_entry: Mapping[str, Any], where: str
) -> dict[str, list[Any]]:
    """Return the values to try: the task's grid, else the experiment's, else the method's own.

    A field that is set, at the same place or nearer to the task, is not varied.
    """
    levels = [
        (kind.grid, {**entry, **task_entry}),
        (entry.get("grid"), task_entry),
        (task_entry.get("grid"), {}),
    ]
    grid, fixed = [level for level in levels if level[0] is not None][-1]
    if not isinstance(grid, Mapping) or not all(isinstance(v, list) and v for v in grid.values()):
        raise UserError(f"{where}.grid: must map fields to lists of one value or more")
    return {
        field: [value for i, value in enumerate(values) if value not in values[:i]]
        for field, values in grid.items()
        if field not in fixed
    }


def check_strength(method: Method, where: str) -> None:
    """Raise a UserError where a method's strength names none of its fields."""
    fields = [field.name for field in dataclasses.fields(method)]
    if method.strength is not None and method.strength not in fields:
        raise UserError(
            f"{where}: its strength '{method.strength}' is none of its fields: {', '.join(fields)}"
        )
    if method.strength_is_kl and method.strength is None:
        raise UserError(f"{where}: strength_is_kl is set, but strength names no field")


def check_feedback(
    where: str, available: Sequence[FeedbackKind], name: str, method: Method
) -> None:
    """Raise a UserError where a method learns from feedback that is not there.

    Args:
        where: The option that says which kind of feedback there is.
        available: That kind first, and all that derive from it.
        name: The method's name.
        method: The method.
    """
    wanted = method.feedback
    # The reward model learns from anything.
    if wanted in (*available, "reward", "none"):
        return
    sources = [kind for kind, derived in DERIVABLE.items() if wanted in derived]
    if not sources:
        known = ", ".join([*KINDS, "reward", "none"])
        raise UserError(f"methods.{name}: unknown feedback '{wanted}'; allowed: {known}")
    raise UserError(
        f"{where}: '{name}' learns from {wanted}, which cannot be derived from {available[0]}; "
        f"it must be {' or '.join(sources)}"
    )

"""The settings of a method in an experiment: fixed fields, varied fields, and their checks."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from bench.config.validation import build
from bench.errors import UserError
from methods.base import Method
from methods.core.feedback import DERIVABLE, KINDS, FeedbackKind
from methods.core.training.trainer import whole_batches
from methods.toolkit.offline import Scheduled
from methods.toolkit.online import Online

# Of one method on one task: with more it is a mistake in the grid.
MOST_SETTINGS = 1000


class Setting(NamedTuple):
    """A method at one setting.

    Attributes:
        name: The method's name.
        method: The method with all its hyper-parameters.
        params: The hyper-parameters that the experiment varies.
    """

    name: str
    method: Method
    params: dict[str, Any]


def settings_of(
    name: str, method: type[Method], entry: Mapping[str, Any], task_entry: Mapping[str, Any]
) -> Iterator[Setting]:
    """Yield a method's settings on a task.

    Args:
        name: The method's name.
        method: The method's class.
        entry: Fields that the experiment sets, and under `grid` the values to try.
        task_entry: The same for this task, which takes precedence.

    Raises:
        UserError: A field is unknown, or a value is not allowed.
    """
    where = f"methods.{name}"
    fixed = {key: value for key, value in {**entry, **task_entry}.items() if key != "grid"}
    grid = grid_of(method, entry, task_entry, where)
    check_strength(build(method, fixed, where), where)
    for values in product(*grid.values()):
        params = dict(zip(grid, values, strict=True))
        yield Setting(name, build(method, {**fixed, **params}, where), params)


def grid_of(
    method: type[Method], entry: Mapping[str, Any], task_entry: Mapping[str, Any], where: str
) -> dict[str, list[Any]]:
    """Return the values to try by field: the task's grid, else the experiment's, else the default.

    A field that is fixed at the level of the grid, or at a level nearer to the task, is not varied.
    """
    # From the lowest precedence to the highest: a grid, and the fields that are fixed above it.
    levels = [
        (method.grid, {**entry, **task_entry}),
        (entry.get("grid"), task_entry),
        (task_entry.get("grid"), {}),
    ]
    grid, fixed = [level for level in levels if level[0] is not None][-1]
    if not isinstance(grid, Mapping) or not all(isinstance(v, list) and v for v in grid.values()):
        raise UserError(f"{where}.grid: must map fields to lists of one value or more")
    varied = {field: values for field, values in grid.items() if field not in fixed}
    if math.prod(map(len, varied.values())) > MOST_SETTINGS:
        raise UserError(f"{where}.grid: more than {MOST_SETTINGS:,} settings; try fewer values")
    return {field: _distinct(values) for field, values in varied.items()}


def _distinct(values: list[Any]) -> list[Any]:
    """Return the values without repetition; true is another value than 1."""
    distinct: list[Any] = []
    for value in values:
        same = [other for other in distinct if other == value]
        if isinstance(value, bool) not in [isinstance(other, bool) for other in same]:
            distinct.append(value)
    return distinct


def check_strength(method: Method, where: str) -> None:
    """Raise UserError if a method's strength is not the name of one of its fields."""
    fields = [field.name for field in dataclasses.fields(method)]
    if method.strength is not None and method.strength not in fields:
        raise UserError(
            f"{where}: its strength '{method.strength}' is none of its fields: {', '.join(fields)}"
        )
    if method.strength_is_kl and method.strength is None:
        raise UserError(f"{where}: strength_is_kl is set, but strength names no field")


def check_batch(method: Method, budget: int, where: str) -> None:
    """Raise UserError if not one batch of a method fits into its examples and the budget.

    Args:
        method: The method. One that does not say so by the toolkit's names is not checked.
        budget: The most examples or episodes; 0 for none.
        where: Where its settings were written.
    """
    size = getattr(method, "batch_size", None)
    if not isinstance(method, Scheduled | Online) or not isinstance(size, int):
        return
    wanted = int(getattr(method, "examples", 0) or getattr(method, "episodes", 0))
    try:
        whole_batches(wanted, budget, size)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None


def check_feedback(
    where: str, available: Sequence[FeedbackKind], name: str, method: Method
) -> None:
    """Raise UserError if a method learns from feedback that is not available.

    Args:
        where: The option that sets the kind of feedback.
        available: The kind of feedback that was collected, then all that derive from it.
        name: The method's name.
        method: The method.
    """
    kind = method.feedback
    # A reward model can be trained on any kind.
    if kind in (*available, "reward", "none"):
        return
    sources = [source for source, derived in DERIVABLE.items() if kind in derived]
    if not sources:
        known = ", ".join([*KINDS, "reward", "none"])
        raise UserError(f"methods.{name}: unknown feedback '{kind}'; allowed: {known}")
    raise UserError(
        f"{where}: '{name}' learns from {kind}, which cannot be derived from {available[0]}; "
        f"it must be {' or '.join(sources)}"
    )

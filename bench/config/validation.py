"""Checking values from a file or the command line: types, ranges and known keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from bench.errors import UserError

T = TypeVar("T")


def build(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Return a dataclass with these values; types and ranges are checked.

    Args:
        cls: The dataclass.
        values: Values of its fields. A mapping for a nested dataclass changes only the fields that
            it names.
        where: Where the values were written, for messages.

    Raises:
        UserError: A key is unknown, or a value is not allowed.
    """
    allowed = [field.name for field in dataclasses.fields(cls) if field.init]  # type: ignore[arg-type]
    _check_known(values, allowed, where)
    try:
        return TypeAdapter(cls).validate_python(_with_defaults(cls, values, where))
    except ValidationError as error:
        raise UserError(describe(error, where)) from None
    except (TypeError, PydanticUserError) as error:  # an unfinished plug-in
        reason = _unknown_type(cls) or str(error).splitlines()[0]
        raise UserError(f"{where}: {cls.__name__} cannot be made: {reason}") from None


def describe(error: ValidationError, where: str) -> str:
    """Return the first problem of a validation in one line.

    Args:
        error: What pydantic raised.
        where: Where the values were written.
    """
    first = error.errors()[0]
    if first["type"] == "value_error":
        return f"{where}: {first['ctx']['error']}"
    path = ".".join(str(part) for part in first["loc"])
    place = f"{where}.{path}" if path else where
    if first["type"] == "extra_forbidden":
        return f"{place}: unknown key"
    return f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}, not {first['input']!r}"


def _check_known(keys: Mapping[str, Any], allowed: list[str], where: str) -> None:
    if unknown := [key for key in keys if key not in allowed]:
        raise UserError(f"{where}: unknown key '{unknown[0]}'; allowed: {', '.join(allowed)}")


def _unknown_type(cls: type[Any]) -> str:
    """Return which type of a field is not defined, or nothing."""
    try:
        get_type_hints(cls)
    except NameError as error:
        return str(error)
    return ""


def _with_defaults(cls: Any, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the values; those of nested dataclasses are completed from the field's default."""
    completed = dict(values)
    for field in dataclasses.fields(cls):
        value = completed.get(field.name)
        if isinstance(value, Mapping) and dataclasses.is_dataclass(field.default):
            completed[field.name] = _merged(field.default, value, f"{where}.{field.name}")
    return completed


def _merged(default: Any, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a dataclass's fields with some replaced, at any depth."""
    defaults = {field.name: getattr(default, field.name) for field in dataclasses.fields(default)}
    _check_known(values, list(defaults), where)
    nested = {
        name: _merged(defaults[name], value, f"{where}.{name}")
        for name, value in values.items()
        if isinstance(value, Mapping) and dataclasses.is_dataclass(defaults[name])
    }
    return {**defaults, **values, **nested}

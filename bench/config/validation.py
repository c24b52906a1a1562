"""Values from a file or the command line, checked: types, ranges, and no key that is not known."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from bench.errors import UserError

T = TypeVar("T")


def build(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """Return the dataclass made from the values, types and ranges checked."""
    allowed = [f.name for f in dataclasses.fields(kind) if f.init]  # type: ignore[arg-type]
    for key in values:
        if key not in allowed:
            raise UserError(f"{where}: unknown key '{key}'; allowed: {', '.join(allowed)}")
    try:
        # Nested dataclasses keep the defaults of the outer one for what is not given.
        return TypeAdapter(kind).validate_python(_with_defaults(kind, values, where))
    except ValidationError as error:
        raise UserError(describe(error, where)) from None
    except (TypeError, PydanticUserError) as error:  # an unfinished plug-in
        reason = _unknown_type(kind) or str(error).splitlines()[0]
        raise UserError(f"{where}: {kind.__name__} cannot be made: {reason}") from None


def _unknown_type(kind: type[Any]) -> str:
    """Return which type of a field is not known, or nothing."""
    try:
        get_type_hints(kind)
    except NameError as error:
        return str(error)
    return ""


def _with_defaults(kind: Any, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    filled = dict(values)
    for field in dataclasses.fields(kind):
        given = filled.get(field.name)
        if isinstance(given, Mapping) and dataclasses.is_dataclass(field.default):
            filled[field.name] = _over(field.default, given, f"{where}.{field.name}")
    return filled


def _over(default: Any, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return what is given over a dataclass's values, and so on for those within it."""
    known = {field.name: getattr(default, field.name) for field in dataclasses.fields(default)}
    if unknown := [key for key in given if key not in known]:
        raise UserError(f"{where}: unknown key '{unknown[0]}'; allowed: {', '.join(known)}")
    inner = {
        name: _over(known[name], value, f"{where}.{name}")
        for name, value in given.items()
        if isinstance(value, Mapping) and dataclasses.is_dataclass(known[name])
    }
    return {**known, **given, **inner}


def describe(error: ValidationError, where: str) -> str:
    """Return pydantic's first complaint as one line."""
    first = error.errors()[0]
    if first["type"] == "value_error":
        return f"{where}: {first['ctx']['error']}"
    path = ".".join(str(part) for part in first["loc"])
    place = f"{where}.{path}" if path else where
    if first["type"] == "extra_forbidden":
        return f"{place}: unknown key"
    return f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}, not {first['input']!r}"

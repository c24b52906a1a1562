"""Checking values from a file or the command line: types, ranges and known keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, SchemaValidator

from bench.errors import UserError, shown

T = TypeVar("T")
# No number of an experiment means more; larger ones overflow 64 bits sooner or later.
LARGEST_INTEGER = 10**12
# Larger ones are infinite in float32, or their squares are.
LARGEST_FLOAT = 1e18
# Pydantic's kinds of errors, in words: whole messages, and what a value must be.
COMPLETE = {"extra_forbidden": "unknown key", "missing": "is missing"}
KINDS = {
    **dict.fromkeys(("dict_type", "model_type", "dataclass_type"), "be a mapping"),
    **dict.fromkeys(("list_type", "tuple_type"), "be a list"),
    "string_type": "be text",
}


def _with_strict_numbers(schema: Any) -> Any:
    """Return pydantic's description of a type, in which numbers are finite numbers.

    By itself pydantic takes true for 1, "3" for 3 and .inf for a number.
    """
    if isinstance(schema, list):
        return [_with_strict_numbers(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: _with_strict_numbers(part) for name, part in schema.items()}
    if strict.get("type") in ("int", "float", "bool"):
        strict["strict"] = True
    if strict.get("type") == "float":
        strict["allow_inf_nan"] = False
        strict.setdefault("le", LARGEST_FLOAT)
        strict.setdefault("ge", -LARGEST_FLOAT)
    if strict.get("type") == "int":
        strict.setdefault("le", LARGEST_INTEGER)
        strict.setdefault("ge", -LARGEST_INTEGER)
    return strict


class StrictNumbers:
    """A base class of pydantic's models, beside BaseModel: their numbers are finite numbers."""

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return _with_strict_numbers(handler(source))


@cache
def _validator(cls: type[Any]) -> SchemaValidator:
    return SchemaValidator(_with_strict_numbers(TypeAdapter(cls).core_schema))


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
        made: T = _validator(cls).validate_python(_with_defaults(cls, values, where))  # type: ignore[arg-type]
        return made
    except ValidationError as error:
        raise UserError(describe(error, where)) from None
    except UserError:
        raise
    except Exception as error:  # whatever an unfinished plug-in raises
        reason = _unknown_type(cls) or str(error)
        raise UserError(f"{where}: {cls.__name__} cannot be made: {reason}") from None


def check_count(option: str, value: int | None, most: int) -> None:
    """Raise UserError if an option is set to a number that is not from 1 to `most`."""
    if value is not None and not 1 <= value <= most:
        raise UserError(f"{option}: must be from 1 to {most:,}, not {shown(value)}")


def describe(error: ValidationError, where: str) -> str:
    """Return the first problem of a validation in one line.

    Args:
        error: What pydantic raised.
        where: Where the values were written.
    """
    first = error.errors(include_url=False)[0]
    if first["type"] == "value_error":
        return f"{where}: {first['ctx']['error']}"
    place = ".".join([where, *(str(part) for part in first["loc"] if part != "[key]")])
    if first["type"] in COMPLETE:
        return f"{place}: {COMPLETE[first['type']]}"
    # As in "Input should be a valid integer" and "String should match ...".
    problem = KINDS.get(first["type"]) or first["msg"].partition(" should ")[2] or first["msg"]
    problem = problem.partition(" after validation")[0]
    return f"{place}: must {problem}, not {shown(first['input'])}"


def _check_known(keys: Mapping[str, Any], allowed: list[str], where: str) -> None:
    if unknown := [key for key in keys if key not in allowed]:
        raise UserError(f"{where}: unknown key {shown(unknown[0])}; allowed: {', '.join(allowed)}")


def _unknown_type(cls: type[Any]) -> str:
    """Return which type of a field is not defined, or nothing."""
    try:
        get_type_hints(cls)
    except NameError as error:
        return str(error)
    return ""


def _with_defaults(cls: Any, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the values; those of nested dataclasses are completed from the field's default."""
    # With the defaults, so that they are checked too: a plug-in's may be wrong.
    completed = _defaults(cls) | dict(values)
    for field in dataclasses.fields(cls):
        value = completed.get(field.name)
        if isinstance(value, Mapping) and dataclasses.is_dataclass(field.default):
            completed[field.name] = _merged(field.default, value, f"{where}.{field.name}")
    return completed


def _defaults(cls: Any) -> dict[str, Any]:
    """Return the defaults of a dataclass's fields by name."""
    return {
        field.name: field.default
        for field in dataclasses.fields(cls)
        if field.init and field.default is not dataclasses.MISSING
    }


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

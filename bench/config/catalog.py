"""The catalog of methods: files in `methods/`, and entry points of other packages."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from functools import cache, partial
from importlib import import_module
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from pathlib import Path
from types import ModuleType

import methods
from bench.errors import UserError, one_line, reason_of, shown
from methods.base import Method
from methods.core.feedback import KINDS

GROUP = "prefrontier.methods"
# Stands for every method wherever methods are named.
ALL = "all"
NOT_METHODS = {"__init__", "base"}
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
FEEDBACK = (*KINDS, "reward", "none")


@cache
def catalog() -> dict[str, type[Method] | str]:
    """Return each method's class by name, or the reason why it cannot be imported."""
    entries: dict[str, type[Method] | str] = {}
    files = sorted(Path(methods.__path__[0]).glob("*.py"))
    for name in (file.stem for file in files if file.stem not in NOT_METHODS):
        entries[name] = _load(name, partial(import_module, f"methods.{name}"))
    for point in _entry_points(entries):
        name = one_line(point.name)
        if name in entries:
            package = point.dist.name if point.dist else point.value
            entries[f"{name} of {package}"] = f"the name '{name}' is taken"
        else:
            entries[name] = _load(name, point.load)
    return entries


def _entry_points(broken: dict[str, type[Method] | str]) -> Iterable[EntryPoint]:
    """Return the entry points of methods; put broken packages to `broken`."""
    try:
        return entry_points(group=GROUP)
    except Exception:  # of any package, for any group
        return [point for package in distributions() for point in _points_of(package, broken)]


def _points_of(
    package: Distribution, broken: dict[str, type[Method] | str]
) -> Iterable[EntryPoint]:
    try:
        return package.entry_points.select(group=GROUP)
    except Exception as error:
        broken[package.name] = f"its entry points cannot be read: {_reason(error)}"
        return ()


def _load(name: str, load: Callable[[], object]) -> type[Method] | str:
    """Return the one Method that a module defines, or that an entry point names."""
    if not re.fullmatch(NAME, name) or name == ALL:
        return "its name must be letters, digits, '.', '_' and '-', and not 'all'"
    try:
        # What a plug-in prints must not get into what a command prints.
        with redirect_stdout(sys.stderr):
            return _method(name, load())
    except (Exception, SystemExit, GeneratorExit) as error:
        return _reason(error)
    except BaseException as error:
        if type(error) is KeyboardInterrupt:  # the user's
            raise
        return _reason(error)


def _method(name: str, loaded: object) -> type[Method] | str:
    if not isinstance(loaded, ModuleType):
        if not (inspect.isclass(loaded) and issubclass(loaded, Method)):
            return f"{shown(loaded)} is not a Method"
        method = loaded
    else:
        defined = defined_methods(loaded)
        if len(defined) != 1:
            return f"methods/{name}.py defines {len(defined)} methods; it must define one"
        [method] = defined
    return _wrong_declaration(method) or method


def _wrong_declaration(method: type[Method]) -> str:
    """Return what a class declares wrongly, or nothing. Its fields are checked when it is made."""
    if not dataclasses.is_dataclass(method):
        return f"{method.__name__} is not a dataclass"
    grid = method.grid
    if not isinstance(grid, Mapping) or not all(isinstance(v, list) and v for v in grid.values()):
        return "grid: must map fields to lists of one value or more"
    fields = [field.name for field in dataclasses.fields(method)]
    if unknown := [name for name in grid if name not in fields]:
        return f"grid: {shown(unknown[0])} is none of its fields: {', '.join(fields)}"
    # A property decides for each setting, and is checked there.
    if not isinstance(method.strength, str | property | None):
        return f"strength: must be the name of a field or None, not {shown(method.strength)}"
    if not isinstance(method.feedback, property) and method.feedback not in FEEDBACK:
        return f"unknown feedback {shown(method.feedback)}; allowed: {', '.join(FEEDBACK)}"
    return ""


def _reason(error: BaseException) -> str:
    try:
        return one_line(f"{type(error).__name__}: {reason_of(error)}".removesuffix(": "))
    except Exception:  # it cannot even be shown
        return type(error).__name__


def defined_methods(module: ModuleType) -> list[type[Method]]:
    """Return the methods that a module defines, without those that it imports."""
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Method)
        and value.__module__ == module.__name__
    ]


def expand_all(names: Sequence[str]) -> list[str]:
    """Return the names without repetition; `all` stands for every method that can be imported."""
    if ALL not in names:
        return list(dict.fromkeys(names))
    return [name for name, entry in catalog().items() if not isinstance(entry, str)]


def not_in_all(names: Sequence[str]) -> dict[str, str]:
    """Return the methods that `all` leaves out, with the reason; none without `all` in names."""
    if ALL not in names:
        return {}
    return {name: entry for name, entry in catalog().items() if isinstance(entry, str)}


def find_method(name: str, where: str) -> type[Method]:
    """Return the method of a name.

    Args:
        name: The method's name.
        where: Where the name was written, for messages.

    Raises:
        UserError: The name is unknown, or the method cannot be imported.
    """
    entry = catalog().get(name)
    if entry is None:
        raise UserError(f"{where}: unknown method {shown(name)}; there are {', '.join(catalog())}")
    if isinstance(entry, str):
        raise UserError(f"{where}: method '{name}' cannot be imported: {entry}")
    return entry


def title(method: type[Method]) -> str:
    """Return the first line of the method's docstring."""
    return (inspect.getdoc(method) or method.__name__).splitlines()[0]


def learns_from(method: type[Method]) -> str:
    """Return the kind of feedback that a method takes; "gold" for a privileged method."""
    return "gold" if method.privileged else method.feedback

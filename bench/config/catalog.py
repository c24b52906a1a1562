"""The catalog of methods: files in `methods/`, and entry points of other packages."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import methods
from bench.errors import UserError
from methods.base import Method

GROUP = "prefrontier.methods"
# Stands for every method wherever methods are named.
ALL = "all"
NOT_METHODS = {"__init__", "base"}


@cache
def catalog() -> dict[str, type[Method] | str]:
    """Return each method's class by name, or the reason why it cannot be imported."""
    entries: dict[str, type[Method] | str] = {}
    files = sorted(Path(methods.__path__[0]).glob("*.py"))
    for name in (file.stem for file in files if file.stem not in NOT_METHODS):
        entries[name] = _load(name, partial(import_module, f"methods.{name}"))
    for point in entry_points(group=GROUP):
        if point.name in entries:
            package = point.dist.name if point.dist else point.value
            entries[f"{point.name} of {package}"] = f"the name '{point.name}' is taken"
        else:
            entries[point.name] = _load(point.name, point.load)
    return entries


def _load(name: str, load: Callable[[], object]) -> type[Method] | str:
    """Return the one Method that a module defines, or that an entry point names."""
    try:
        loaded = load()
    except Exception as error:  # a broken plug-in must not take the others down
        return f"{type(error).__name__}: {error}"
    if not isinstance(loaded, ModuleType):
        if inspect.isclass(loaded) and issubclass(loaded, Method):
            return loaded
        return f"{loaded!r} is not a Method"
    defined = defined_methods(loaded)
    if len(defined) != 1:
        return f"methods/{name}.py defines {len(defined)} methods; it must define one"
    [method] = defined
    return method if dataclasses.is_dataclass(method) else f"{method.__name__} is not a dataclass"


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
        raise UserError(f"{where}: unknown method '{name}'; there are {', '.join(catalog())}")
    if isinstance(entry, str):
        raise UserError(f"{where}: method '{name}' cannot be imported: {entry}")
    return entry


def title(method: type[Method]) -> str:
    """Return the first line of the method's docstring."""
    return (inspect.getdoc(method) or method.__name__).splitlines()[0]


def learns_from(method: type[Method]) -> str:
    """Return the kind of feedback that a method takes; "gold" for a privileged method."""
    return "gold" if method.privileged else method.feedback

"""Which methods there are: files in `methods/`, and entry points of other packages."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import methods
from bench.errors import UserError
from methods.base import Method

GROUP = "prefrontier.methods"
NOT_METHODS = {"__init__", "base"}


@cache
def catalog() -> dict[str, type[Method] | str]:
    """Return each method's class by name, or the reason why it cannot be imported."""
    found: dict[str, type[Method] | str] = {}
    files = sorted(Path(methods.__path__[0]).glob("*.py"))
    for name in (file.stem for file in files if file.stem not in NOT_METHODS):
        found[name] = _load(name, lambda name=name: import_module(f"methods.{name}"))
    for point in entry_points(group=GROUP):
        if point.name in found:
            package = point.dist.name if point.dist else point.value
            found[f"{point.name} of {package}"] = f"the name '{point.name}' is taken"
        else:
            found[point.name] = _load(point.name, point.load)
    return found


def _load(name: str, load: object) -> type[Method] | str:
    """Return the one Method that a module defines, or that an entry point names."""
    try:
        loaded = load()  # type: ignore[operator]
    except Exception as error:  # a broken plug-in must not take the others down
        return f"{type(error).__name__}: {error}"
    if not isinstance(loaded, ModuleType):
        is_method = inspect.isclass(loaded) and issubclass(loaded, Method)
        return loaded if is_method else f"{loaded!r} is not a Method"
    own = own_methods(loaded)
    if len(own) != 1:
        return f"methods/{name}.py defines {len(own)} methods; it must define one"
    return own[0] if dataclasses.is_dataclass(own[0]) else f"{own[0].__name__} is no dataclass"


def named(names: Sequence[str]) -> list[str]:
    """Return the names, each once; `all` among them stands for all that can be imported."""
    if "all" not in names:
        return list(dict.fromkeys(names))
    return [name for name, found in catalog().items() if not isinstance(found, str)]


def left_out(names: Sequence[str]) -> dict[str, str]:
    """Return the methods that `all` among the names does not stand for, and why."""
    if "all" not in names:
        return {}
    return {name: found for name, found in catalog().items() if isinstance(found, str)}


def own_methods(module: ModuleType) -> list[type[Method]]:
    """Return the methods that a module defines, those that it imports left out."""
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Method)
        and value.__module__ == module.__name__
    ]


def find_method(name: str, where: str) -> type[Method]:
    """Return the method of this name, or raise a UserError that lists what there is."""
    found = catalog().get(name)
    if found is None:
        raise UserError(f"{where}: unknown method '{name}'; there are {', '.join(catalog())}")
    if isinstance(found, str):
        raise UserError(f"{where}: method '{name}' cannot be imported: {found}")
    return found


def title(method: type[Method]) -> str:
    """Return the first line of the method's docstring."""
    return (inspect.getdoc(method) or method.__name__).splitlines()[0]


def learns_from(method: type[Method]) -> str:
    """Return the kind of feedback that a method takes, "gold" for a privileged one."""
    return "gold" if method.privileged else method.feedback

"""Checks of what a method declares. Nothing is trained."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

from bench.checks.exceptions import Failed
from bench.checks.registry import CHECKS, check
from bench.checks.subject import Subject

HEAVY = ("torch", "transformers", "trl", "datasets", "accelerate")


@check()
def default_constructible(subject: Subject) -> None:
    """The class can be constructed without arguments."""
    try:
        subject.method()
    except TypeError as error:
        raise Failed(f"{subject.method.__name__}() raises {error}") from None


@check()
def hashable(subject: Subject) -> None:
    """It is a frozen dataclass: methods with equal settings are equal and have the same hash."""
    parameters = getattr(subject.method, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise Failed("it is not a frozen dataclass: write @dataclass(frozen=True)")
    first, second = subject.make(), subject.make()
    if first != second or hash(first) != hash(second):
        raise Failed("two objects with the same settings differ")


@check()
def settings_are_plain(subject: Subject) -> None:
    """Its settings can be written as JSON, which the cache and the tables need."""
    try:
        json.dumps(dataclasses.asdict(subject.make()))
    except TypeError as error:
        raise Failed(str(error)) from None


@check()
def grid_names_fields(subject: Subject) -> None:
    """Its grid and its strength name fields, and the values in its grid are allowed."""
    from bench.config.settings import check_strength, grid_of
    from bench.config.validation import build
    from bench.errors import UserError

    method = subject.method
    name = method.__name__
    try:
        check_strength(subject.make(), name)
        for field, values in grid_of(method, {}, {}, name).items():
            for value in values:
                build(method, {field: value}, f"{name}.grid")
    except UserError as error:
        raise Failed(str(error)) from None


@check()
def expected_failures_are_checks(subject: Subject) -> None:
    """Its expected failures are checks that a method may fail, each with a reason."""
    for name, reason in subject.method.expected_failures.items():
        if name not in CHECKS:
            raise Failed(f"expected_failures: there is no check '{name}'")
        if not CHECKS[name].excusable:
            raise Failed(f"expected_failures: no method may fail '{name}'")
        if not reason:
            raise Failed(f"expected_failures: '{name}' has no reason")


@check()
def light_import(subject: Subject) -> None:
    """Importing its module imports none of the heavy libraries."""
    code = (
        f"import sys, importlib; importlib.import_module({subject.method.__module__!r}); "
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    if process.returncode:
        raise Failed(f"it cannot be imported alone: {process.stderr.strip().splitlines()[-1]}")
    if loaded := process.stdout.split():
        raise Failed(f"its module imports {', '.join(loaded)}: import them where they are used")

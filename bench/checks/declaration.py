"""Checks of what a method says of itself, before anything is trained."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

from bench.checks.registry import CHECKS, check
from bench.checks.subject import Failed, Subject

HEAVY = ("torch", "transformers", "trl", "datasets", "accelerate")


@check()
def default_constructible(subject: Subject) -> None:
    """It can be made without arguments."""
    try:
        subject.kind()
    except TypeError as error:
        raise Failed(f"{subject.kind.__name__}() raises {error}") from None


@check()
def hashable(subject: Subject) -> None:
    """It is a frozen dataclass: equal settings are equal, with one hash."""
    parameters = getattr(subject.kind, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise Failed("it is not a frozen dataclass: write @dataclass(frozen=True)")
    first, second = subject.kind(), subject.kind()
    if first != second or hash(first) != hash(second):
        raise Failed("two of its kind with the same settings differ")


@check()
def settings_are_plain(subject: Subject) -> None:
    """Its settings can be written down: the cache and the tables need it."""
    try:
        json.dumps(dataclasses.asdict(subject.kind()))
    except TypeError as error:
        raise Failed(str(error)) from None


@check()
def grid_names_fields(subject: Subject) -> None:
    """Its grid and its strength name fields, and the grid's values are allowed."""
    from bench.errors import UserError
    from bench.config.experiment import check_strength, grid_of
    from bench.config.validation import build

    kind = subject.kind
    try:
        check_strength(kind(), kind.__name__)
        for name, values in grid_of(kind, {}, {}, kind.__name__).items():
            for value in values:
                build(kind, {name: value}, f"{kind.__name__}.grid")
    except UserError as error:
        raise Failed(str(error)) from None


@check()
def expected_failures_are_checks(subject: Subject) -> None:
    """What it says that it fails are checks, which may be failed, with a reason."""
    for name, reason in subject.kind.expected_failures.items():
        if name not in CHECKS:
            raise Failed(f"there is no check '{name}'")
        if not CHECKS[name].excusable:
            raise Failed(f"no method may fail '{name}'")
        if not reason:
            raise Failed(f"'{name}' has no reason")


@check()
def light_import(subject: Subject) -> None:
    """It is listed without its heavy imports."""
    code = (
        f"import sys, importlib; importlib.import_module({subject.kind.__module__!r}); "
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(f"it cannot be imported by itself: {done.stderr.strip().splitlines()[-1]}")
    if loaded := done.stdout.split():
        raise Failed(f"its module imports {', '.join(loaded)}: import them where they are used")

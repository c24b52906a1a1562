"""The list of conformance checks, and how a check is run."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.checks.subject import DoesNotApply, Failed, Subject, subject_of
from methods.base import Method

Verdict = Literal["passes", "fails", "fails as expected", "does not apply"]
CheckFunction = Callable[[Subject], None]


@dataclass(frozen=True)
class Check:
    """A conformance check of methods.

    Attributes:
        name: The name of its function.
        title: What it requires, in a line.
        function: Raises Failed if the method fails, DoesNotApply if the check does not apply to it.
        excusable: Whether a method may declare that it fails the check.
    """

    name: str
    title: str
    function: CheckFunction
    excusable: bool = True

    def __call__(self, method: type[Method]) -> None:
        """Check a method.

        Raises:
            Failed: The method fails.
            DoesNotApply: The check does not apply to the method.
        """
        self.function(subject_of(method))


@dataclass(frozen=True)
class Outcome:
    """The outcome of a check.

    Attributes:
        check: The check.
        verdict: How it went.
        reason: Why it is not a pass.
        error: The exception of a failure.
    """

    check: Check
    verdict: Verdict
    reason: str = ""
    error: Exception | None = None


CHECKS: dict[str, Check] = {}


def check(*, excusable: bool = True) -> Callable[[CheckFunction], CheckFunction]:
    """Add a function to the checks under its name; the first line of its docstring is the title.

    Args:
        excusable: Whether a method may declare that it fails the check.
    """

    def add(function: CheckFunction) -> CheckFunction:
        title = (inspect.getdoc(function) or "").splitlines()[0].rstrip(".")
        name = function.__name__
        CHECKS[name] = Check(name, title, function, excusable)
        return function

    return add


def run_check(check: Check, method: type[Method]) -> Outcome:
    """Return the outcome of a check. An error of any kind is a failure."""
    excuse = method.expected_failures.get(check.name)
    try:
        check(method)
    except DoesNotApply as error:
        return Outcome(check, "does not apply", str(error))
    except Exception as error:
        if excuse and check.excusable:
            return Outcome(check, "fails as expected", excuse)
        prefix = "" if isinstance(error, Failed) else f"{type(error).__name__}: "
        return Outcome(check, "fails", " ".join(f"{prefix}{error}".split())[:300], error)
    if excuse:
        reason = "it passes: remove it from expected_failures"
        return Outcome(check, "fails", reason, Failed(reason))
    return Outcome(check, "passes")

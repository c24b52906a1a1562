"""The list of conformance checks, and how a check is run."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.checks.exceptions import Blocked, DoesNotApply, Failed, place_of
from bench.checks.subject import Subject, one_thread, subject_of
from bench.errors import reason_of
from methods.base import Method
from methods.core.models.outputs import OutputError

Status = Literal["passes", "fails", "fails as expected", "does not apply"]
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
        with one_thread():
            self.function(subject_of(method))


@dataclass(frozen=True)
class Outcome:
    """The outcome of a check.

    Attributes:
        check: The check.
        status: How it went.
        reason: Why it is not a pass.
        error: The exception of a failure.
        blocked: Whether an exception that another check shows kept it from running.
    """

    check: Check
    status: Status
    reason: str = ""
    error: Exception | None = None
    blocked: bool = False


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
    """Return the outcome of a check. An error of any kind is a failure.

    An exception that the method raises at the same place in several checks fails the first of them.
    """
    excuse = method.expected_failures.get(check.name)
    try:
        check(method)
    except DoesNotApply as error:
        blocked = isinstance(error, Blocked)
        return Outcome(check, "does not apply", str(error), blocked=blocked)
    except Exception as error:
        if excuse and check.excusable:
            return Outcome(check, "fails as expected", excuse)
        if isinstance(error, Failed | OutputError):
            return Outcome(check, "fails", reason_of(error), error)
        return _raised(check, method, error)
    if excuse:
        reason = "it passes: remove it from expected_failures"
        return Outcome(check, "fails", reason, Failed(reason))
    return Outcome(check, "passes")


def _raised(check: Check, method: type[Method], error: Exception) -> Outcome:
    """Return the outcome of a check in which a method raised an exception."""
    place = place_of(error, method)
    shown_by = subject_of(method).shown_by.setdefault(place, check.name)
    if shown_by != check.name:
        return Outcome(check, "does not apply", f"an exception: see {shown_by}", blocked=True)
    return Outcome(check, "fails", f"{place}: {type(error).__name__}: {reason_of(error)}", error)

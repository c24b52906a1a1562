"""The list of checks, and what comes of one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.checks.subject import DoesNotApply, Failed, Subject, subject_of
from methods.base import Method

Verdict = Literal["passes", "fails", "fails as expected", "does not apply"]


@dataclass(frozen=True)
class Check:
    """A named question to a method. excusable: whether a method may declare that it fails it."""

    name: str
    title: str
    look: Callable[[Subject], None]
    excusable: bool = True

    def __call__(self, kind: type[Method]) -> None:
        """Raise Failed where the method fails, DoesNotApply where there is nothing to look at."""
        self.look(subject_of(kind))


@dataclass(frozen=True)
class Outcome:
    """What came of a check. why: of anything but a pass. error: what was raised, where it fails."""

    check: Check
    verdict: Verdict
    why: str = ""
    error: Exception | None = None


CHECKS: dict[str, Check] = {}


def check(
    *, excusable: bool = True
) -> Callable[[Callable[[Subject], None]], Callable[[Subject], None]]:
    """Add a function to the checks, under its name and with its docstring's first line."""

    def add(look: Callable[[Subject], None]) -> Callable[[Subject], None]:
        title = (inspect.getdoc(look) or "").splitlines()[0].rstrip(".")
        CHECKS[look.__name__] = Check(look.__name__, title, look, excusable)
        return look

    return add


def run_check(one: Check, kind: type[Method]) -> Outcome:
    """Return what came of a check. An error of any kind fails it."""
    excuse = kind.expected_failures.get(one.name)
    try:
        one(kind)
    except DoesNotApply as reason:
        return Outcome(one, "does not apply", str(reason))
    except Exception as error:
        if excuse and one.excusable:
            return Outcome(one, "fails as expected", excuse)
        named = "" if isinstance(error, Failed) else f"{type(error).__name__}: "
        return Outcome(one, "fails", " ".join(f"{named}{error}".split())[:300], error)
    if excuse:
        why = "it passes: take it out of expected_failures"
        return Outcome(one, "fails", why, Failed(why))
    return Outcome(one, "passes")

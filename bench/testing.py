"""Conformance checks for the test suites of plug-ins: every check is a test.

from bench.testing import parametrize_with_checks

@parametrize_with_checks([MyMethod])
def test_conforms(method, check):
    check(method)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bench.checks import CHECKS, run_check
from bench.config.catalog import find_method
from methods.base import Method

if TYPE_CHECKING:
    from pytest import MarkDecorator

    from bench.checks.registry import Check


def parametrize_with_checks(methods: Sequence[type[Method] | str]) -> MarkDecorator:
    """Return a mark that runs a test with each method and each check, as `method` and `check`.

    A check that does not apply passes. A check that the method declares to fail is an xfail; the
    test fails if it passes.

    Args:
        methods: Classes, or names as `prefrontier methods` lists them.
    """
    import pytest

    classes = [find_method(m, "methods") if isinstance(m, str) else m for m in methods]
    return pytest.mark.parametrize(("method", "check"), list(_parameters(classes)))


def _parameters(methods: Sequence[type[Method]]) -> Iterator[Any]:
    import pytest

    for method in methods:
        for check in CHECKS.values():
            yield pytest.param(method, _applied(check), id=f"{method.__name__}-{check.name}")


def _applied(check: Check) -> Callable[[type[Method]], None]:
    """Return a function that raises if the method fails the check."""

    def apply(method: type[Method]) -> None:
        import pytest

        outcome = run_check(check, method)
        if outcome.error is not None:
            raise outcome.error
        if outcome.status == "fails as expected":
            pytest.xfail(outcome.reason)

    return apply

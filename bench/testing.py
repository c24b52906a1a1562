"""For the tests of plug-ins: every check of `prefrontier check` as a test of its own.

from bench.testing import parametrize_with_checks

@parametrize_with_checks([MyMethod])
def test_conforms(method, check):
    check(method)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bench.config.catalog import find_method
from bench.checks import CHECKS, run_check
from methods.base import Method

if TYPE_CHECKING:
    from pytest import MarkDecorator

    from bench.checks.registry import Check


def parametrize_with_checks(methods: Sequence[type[Method] | str]) -> MarkDecorator:
    """Return a mark that gives a test each method with each check, as `method` and `check`.

    methods: classes, or names as `prefrontier methods` lists them. A check that does not apply is
    passed. One that the method declares to fail is an xfail, and fails where it passes.
    """
    import pytest

    kinds = [find_method(m, "methods") if isinstance(m, str) else m for m in methods]
    return pytest.mark.parametrize(("method", "check"), list(_parameters(kinds)))


def _parameters(kinds: Sequence[type[Method]]) -> Iterator[Any]:
    import pytest

    for kind in kinds:
        for check in CHECKS.values():
            yield pytest.param(kind, _applied(check), id=f"{kind.__name__}-{check.name}")


def _applied(check: Check) -> Any:
    def apply(kind: type[Method]) -> None:
        import pytest

        outcome = run_check(check, kind)
        if outcome.error is not None:
            raise outcome.error
        if outcome.verdict == "fails as expected":
            pytest.xfail(outcome.why)

    return apply

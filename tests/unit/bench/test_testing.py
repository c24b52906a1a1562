"""Conformance checks in the test suite of a plug-in."""

from __future__ import annotations

import pytest
from helpers.broken_methods import BROKEN
from helpers.declared_failures import Declared, DeclaredAside, DeclaredInVain
from helpers.good_method import Good

from bench.checks import CHECKS, run_check
from bench.checks.exceptions import Failed
from bench.testing import parametrize_with_checks
from methods.base import Method


def test_tests_pass_and_fail_as_the_checks_do() -> None:
    def applied(kind: type[Method], name: str) -> None:
        mark = parametrize_with_checks([kind])
        [apply] = [p.values[1] for p in mark.args[1] if p.id == f"{kind.__name__}-{name}"]
        apply(kind)

    applied(Good, "leaves_itself")
    assert run_check(CHECKS["resumes"], DeclaredAside).status == "does not apply"
    applied(DeclaredAside, "resumes")
    with pytest.raises(pytest.xfail.Exception, match="its logits are in 8 bits"):
        applied(Declared, "independent_of_batch")
    with pytest.raises(AssertionError, match="remove it from expected_failures"):
        applied(DeclaredInVain, "leaves_itself")
    with pytest.raises(Failed):
        applied(BROKEN["leaves_itself"], "leaves_itself")


@parametrize_with_checks(["sft"])
def test_a_method_is_checked_by_its_name(method: type[Method], check: object) -> None:
    assert callable(check)
    check(method)

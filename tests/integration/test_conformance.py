"""Every method, against every conformance check."""

from __future__ import annotations

import pytest

from bench.config.catalog import catalog
from bench.testing import parametrize_with_checks
from methods.base import Method

FAST = ["sft", "dpo", "ppo", "best_of_n"]


@parametrize_with_checks(FAST)
def test_a_method_conforms(method: type[Method], check: object) -> None:
    assert callable(check)
    check(method)


@pytest.mark.slow
@parametrize_with_checks([name for name in catalog() if name not in FAST])
def test_every_other_method_conforms(method: type[Method], check: object) -> None:
    assert callable(check)
    check(method)


def test_at_most_one_check_is_expected_to_fail() -> None:
    for method in catalog().values():
        assert not isinstance(method, str), method
        assert len(method.expected_failures) <= 1

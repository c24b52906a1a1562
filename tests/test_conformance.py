"""Every method there is, against every check."""

from __future__ import annotations

from bench.config.catalog import catalog
from bench.testing import parametrize_with_checks
from methods.base import Method


@parametrize_with_checks(list(catalog()))
def test_conforms(method: type[Method], check: object) -> None:
    assert callable(check)
    check(method)


def test_at_most_one_check_is_expected_to_fail() -> None:
    for method in catalog().values():
        assert not isinstance(method, str), method
        assert len(method.expected_failures) <= 1

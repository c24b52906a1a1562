"""Numbers and links as people read them."""

from __future__ import annotations

import pytest

from bench.report.content.display import linked


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//example.org",
        "https://",
        "https://a b",
        "",
        "[",
    ],
)
def test_only_web_addresses_are_links(url: str) -> None:
    assert linked("a paper", url) == "a paper"

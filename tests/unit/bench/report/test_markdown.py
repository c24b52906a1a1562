"""Text and tables in Markdown: shown as they are, never as markup."""

from __future__ import annotations

import re

import pytest

from bench.report.content.display import Link
from bench.report.markdown import fenced, markdown_cell, markdown_text


@pytest.mark.parametrize("text", ["a | b", "`code`", "*bold*", "[x](y)", "~~gone~~"])
def test_markdown_cells_are_inert(text: str) -> None:
    assert not re.search(r"(?<!\\)[|`*\[\]~]", markdown_text(text))
    assert re.sub(r"\\(.)", r"\1", markdown_text(text)) == text


def test_markdown_cells_keep_names_readable() -> None:
    assert markdown_text("ppo_gold <b>\n_x_") == r"ppo_gold &lt;b&gt; \_x\_"


def test_no_response_closes_its_fence() -> None:
    assert fenced("a\n````\nb").startswith("`````text\n")


def test_a_link_in_markdown_cannot_end_early() -> None:
    shown = markdown_cell(Link("a] | b", "https://example.org/a)b|c>d"))
    assert shown == r"[a\] \| b](https://example.org/a%29b%7Cc%3Ed)"

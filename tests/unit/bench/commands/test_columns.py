"""The page of columns: whole, and the same as the one in docs/."""

from __future__ import annotations

from pathlib import Path

from bench.commands.columns import columns_page
from bench.report.content.display import metric_help
from bench.results.metrics import METRICS
from bench.results.schema import TABLES

PAGE = Path(__file__).parents[4] / "docs" / "columns.md"


def test_the_page_in_docs_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == columns_page(), "run `make docs`"


def test_every_column_and_metric_has_a_row() -> None:
    sections = dict(part.split("\n", 1) for part in columns_page().split("\n## ")[1:])
    assert list(sections) == [*(table.file for table in TABLES), "Metrics"]
    for table in TABLES:
        assert table.help in sections[table.file]
        for column in table.columns:
            assert f"| `{column.name}` | {column.kind} | {column.help} |" in sections[table.file]
    for metric in METRICS:
        meaning = metric_help(metric, "gold or judge")
        assert f"| `{metric.name}` |" in sections["Metrics"] and meaning in sections["Metrics"]

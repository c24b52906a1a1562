"""`prefrontier columns`: every table and column that a run writes, and every metric."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.results.columns import Column, Metric, Table
from bench.results.metrics import METRICS
from bench.results.schema import TABLES

INTRODUCTION = (
    "Every table that a run leaves in its results folder, with all of its columns, and every "
    "metric. A number that does not apply or is not known is empty, never 0. CSV files hold "
    "numbers to 8 significant digits. `make docs` writes this page from the schema in "
    "`bench/results/schema.py` and `bench/results/metrics.py`; a change made here is lost."
)
METRICS_NOTE = (
    "Metrics of a run are columns of `runs.csv`, and of other tables under the same name. The "
    "report's tables and glossary show their labels and meanings."
)
BETTER = {True: "higher", False: "lower", None: ""}


def columns_page() -> str:
    """Return docs/columns.md."""
    parts = ["# Columns", INTRODUCTION]
    for table in TABLES:
        parts += [f"## {table.file}", table.help, _columns_table(table)]
    parts += ["## Metrics", METRICS_NOTE, _metrics_table(METRICS)]
    return "\n\n".join(parts) + "\n"


def _columns_table(table: Table) -> str:
    return _markdown(["column", "type", "meaning"], [_column_row(c) for c in table.columns])


def _column_row(column: Column) -> list[str]:
    return [f"`{column.name}`", column.kind, column.help]


def _metrics_table(metrics: Iterable[Metric]) -> str:
    headings = ["metric", "label", "unit", "better", "meaning"]
    return _markdown(headings, [_metric_row(metric) for metric in metrics])


def _metric_row(metric: Metric) -> list[str]:
    label, meaning = (
        text.replace("{source}", "gold or judge") for text in (metric.label, metric.help)
    )
    return [f"`{metric.name}`", label, metric.unit, BETTER[metric.higher_is_better], meaning]


def _markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; cells keep their markup."""
    lines = [headings, ["---"] * len(headings), *rows]
    escaped = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)

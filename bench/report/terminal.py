"""The main table of each task, as the terminal shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.report.sections.main import main_table
from bench.results.loading import load_results
from bench.results.metrics import shown_in

if TYPE_CHECKING:
    from rich.table import Table


def terminal_tables(folder: Path) -> Iterator[Table]:
    """Yield a table for each task of a results folder: selected settings, test prompts."""
    from rich.markup import escape
    from rich.table import Table

    results = load_results(folder)
    metrics = {metric.name for metric in shown_in("terminal")}
    shown = {"method", "setting", "gain", "seeds"} | metrics
    for task in results.tasks:
        main = main_table(results, task)
        columns = [column for column in main.columns if column.name in shown]
        table = Table(title=task, title_justify="left", box=None, pad_edge=False)
        for column in columns:
            side: Literal["left", "right"] = "right" if column.kind == "number" else "left"
            table.add_column(escape(column.label), justify=side, no_wrap=True)
        for row in main.rows:
            table.add_row(*(escape(str(row[column.name])) for column in columns))
        yield table

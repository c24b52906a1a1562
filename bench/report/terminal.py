"""The main table and the answer of each task, as the terminal shows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.report.sections.answer import answer
from bench.report.sections.main import main_table
from bench.results.loading import Results, load_results
from bench.results.metrics import shown_in

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text


def terminal_report(folder: Path) -> Iterator[RenderableType]:
    """Yield a table for each task of a results folder, then the answer for each."""
    results = load_results(folder)
    for task in results.tasks:
        yield terminal_table(results, task)
    for task in results.tasks:
        yield from terminal_answer(results, task)


def terminal_table(results: Results, task: str) -> Table:
    """Return a task's table: selected settings, test prompts."""
    from rich.markup import escape
    from rich.table import Table

    metrics = {metric.name for metric in shown_in("terminal")}
    shown = {"method", "setting", "gain", "seeds"} | metrics
    main = main_table(results, task)
    columns = [column for column in main.columns if column.name in shown]
    table = Table(title=task, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        side: Literal["left", "right"] = "right" if column.kind == "number" else "left"
        table.add_column(escape(column.label), justify=side, no_wrap=True)
    for row in main.rows:
        table.add_row(*(escape(str(row[column.name])) for column in columns))
    return table


def terminal_answer(results: Results, task: str) -> Iterator[Text]:
    """Yield a task's verdict in words, then a line for each warning."""
    from rich.text import Text

    part = answer(results, task)
    yield Text(f"{task}: {part.statement}", style="bold")
    for warning in part.warnings:
        yield Text.assemble(("  warning: ", "yellow"), warning)

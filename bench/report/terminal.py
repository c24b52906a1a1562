"""The main table of each task, as the terminal shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bench.results.loading import load_results
from bench.report.tables import main_table

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = (
    "method",
    "setting",
    "gold reward",
    "gain over SFT",
    "KL (nats)",
    "efficiency",
    "win rate vs SFT",
    "seeds",
)


def terminal_tables(folder: Path) -> Iterator[Table]:
    """Yield a table for each task of a results folder: selected settings, test prompts."""
    from rich.markup import escape
    from rich.table import Table

    results = load_results(folder)
    for task in results.tasks:
        rows = main_table(results.runs, task, results.privileged)
        table = Table(title=task, title_justify="left", box=None, pad_edge=False)
        for name in SHOWN:
            heading = name.replace("gold", results.scale(task))
            table.add_column(
                heading, justify="left" if name in SHOWN[:2] else "right", no_wrap=True
            )
        for row in rows[list(SHOWN)].itertuples(index=False):
            table.add_row(*(escape(str(value)) for value in row))
        yield table

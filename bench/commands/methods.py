"""`prefrontier methods`: a table of the methods that can be compared."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.config.catalog import catalog, learns_from, title
from methods.base import Method


def print_methods(*, with_grid: bool) -> None:
    """Print the table of all methods, those that cannot be imported included.

    Args:
        with_grid: Whether the values that a comparison tries are shown.
    """
    table = Table("method", "learns from", "strength", box=None, pad_edge=False)
    if with_grid:
        table.add_column("grid")
    table.add_column("description", overflow="fold")
    for name, entry in catalog().items():
        table.add_row(name, *_cells(entry, with_grid))
    Console(width=None if sys.stdout.isatty() else 100).print(table)


def _cells(entry: type[Method] | str, with_grid: bool) -> list[str]:
    """Return a row of the table without the method's name."""
    if isinstance(entry, str):
        cells, description = ["-", "-", "-"], f"[red]cannot be imported:[/] {escape(entry)}"
    else:
        grid = "; ".join(f"{field}: {values}" for field, values in entry.grid.items())
        cells = [learns_from(entry), entry.strength or "", escape(grid)]
        description = escape(title(entry))
    return [*cells[: 3 if with_grid else 2], description]

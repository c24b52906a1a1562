"""The signature chart in the sizes of papers, as PDF with its fonts embedded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.report.charts.style import RC
from bench.report.sections.frontier import frontier_figure, tasks_with_points
from bench.results.loading import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Widths of the columns of two-column papers (inches).
SINGLE, DOUBLE = 3.33, 6.75
PANELS = 3
HEIGHT = 2.5
PAPER: Any = RC | {
    "font.size": 7,
    "axes.titlesize": 8,
    "axes.titlepad": 5,
    "axes.linewidth": 0.6,
    "grid.linewidth": 0.4,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "lines.markersize": 4,
    # As TrueType, which publishers ask for.
    "pdf.fonttype": 42,
}


def write_paper_figures(results: Results, folder: Path) -> None:
    """Write the frontier of each task for one column, and that of all tasks for two."""
    from matplotlib import rc_context

    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.pdf"):
        file.unlink()
    tasks = tasks_with_points(results)
    with rc_context(PAPER):
        for task in tasks:
            name = re.sub(r"[^\w.-]+", "_", task)
            figure = frontier_figure(results, [task], (SINGLE, HEIGHT))
            _save(figure, folder / f"frontier_{name}_single_column.pdf")
        columns = min(PANELS, len(tasks))
        figure = frontier_figure(results, tasks, (DOUBLE / max(columns, 1), HEIGHT))
        _save(figure, folder / "frontier_double_column.pdf")


def _save(figure: Figure | None, file: Path) -> None:
    if figure is None:
        return
    partial = file.with_name(f".{file.name}.partial")
    # The same results give the same file.
    figure.savefig(partial, format="pdf", metadata={"CreationDate": None})
    partial.replace(file)

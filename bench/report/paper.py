"""Charts in the sizes of papers, as PDF with their fonts embedded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.report.charts.facets import FEW
from bench.report.charts.style import RC, fit_legend
from bench.report.sections import SECTIONS
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
# A column may be this much narrower than text and marks would like.
CROWDED = 1.3
FRONTIER, RANKING = "frontier", "ranking"
# Of a file, of which systems allow 255 bytes; the end says for which column it is.
LONGEST_NAME = 200


def write_frontier(results: Results, folder: Path) -> None:
    """Write reward against KL of each task for one column, and that of all tasks for two.

    More methods than a panel can show have none.
    """
    folder.mkdir(parents=True)
    if len(results.methods) > FEW:
        return
    tasks = tasks_with_points(results)
    for task in tasks:
        _save(frontier_of(results, [task], SINGLE), folder, f"{FRONTIER}_{task}_single_column")
    if tasks:
        _save(frontier_of(results, tasks, DOUBLE), folder, f"{FRONTIER}_double_column")


def frontier_of(results: Results, tasks: list[str], width: float) -> Figure | None:
    """Return reward against KL on some tasks, as wide as a column (inches)."""
    from matplotlib import rc_context

    with rc_context(PAPER):
        return frontier_figure(results, tasks, (width / min(PANELS, len(tasks)), HEIGHT))


def write_charts(results: Results, folder: Path) -> None:
    """Write every other chart: for each task the narrowest column that holds it."""
    for name, figure in _charts(results):
        if name == RANKING:
            _save_in_column(figure, folder, name)
    for task in results.tasks:
        for name, figure in _charts(results.of_task(task)):
            if name not in (FRONTIER, RANKING):
                _save_in_column(figure, folder, f"{name}_{task}")


def _charts(results: Results) -> Iterator[tuple[str, Figure]]:
    """Yield the static charts by name, in the style of papers."""
    from matplotlib import rc_context

    with rc_context(PAPER):
        sections = [make(results) for makers in SECTIONS.values() for make in makers]
    for chart in (chart for section in sections if section for chart in section.charts):
        if chart.figure:
            yield chart.name, chart.figure


def _save_in_column(figure: Figure, folder: Path, name: str) -> None:
    """Save a chart in one column if its text has room there, else in two."""
    from matplotlib import rc_context

    width, height = figure.get_size_inches()
    # Text is smaller than on a page, and takes less room.
    needed = width * PAPER["font.size"] / RC["font.size"]
    column, words = (SINGLE, "single") if needed <= CROWDED * SINGLE else (DOUBLE, "double")
    figure.set_size_inches(column, height * max(column / width, PAPER["font.size"] / 10))
    for ax in figure.axes:
        ax.set_title(ax.get_title("left"), loc="left", fontsize=PAPER["axes.titlesize"])
    with rc_context(PAPER):
        fit_legend(figure)
    _save(figure, folder, f"{name}_{words}_column")


def _save(figure: Figure | None, folder: Path, name: str) -> None:
    from matplotlib import rc_context

    if figure is None:
        return
    file = folder / (re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII)[-LONGEST_NAME:] + ".pdf")
    # The same results give the same file.
    with rc_context(PAPER):
        figure.savefig(file, format="pdf", metadata={"CreationDate": None})

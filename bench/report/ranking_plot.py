"""The ranking as dots with their intervals, best on top."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.report.display import percent
from bench.report.ranking import mean_ranks, seed_ranks
from bench.results.loading import Results
from bench.report.charts.style import BACKGROUND, looks, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS_TO_DRAW = 3


def ranking(results: Results) -> Figure | None:
    """Mean ranks over all tasks and seeds; behind them, thin, those on each task."""
    from matplotlib.lines import Line2D

    ranked = mean_ranks(seed_ranks(results))
    if len(ranked) < METHODS_TO_DRAW:
        return None
    figure, [[ax]] = panels(1, 1, 8.4, 0.27 * len(ranked) + 0.9)
    for i, own in enumerate(ranked):
        look = looks(results.methods)[own.method]
        rank = own.mean_rank
        if len(own.by_task) > 1:
            ax.plot(list(own.by_task.values()), [i] * len(own.by_task), "|", color="#8a94a3", ms=9)
        if math.isfinite(rank.half_width):
            ax.plot([rank.low, rank.high], [i, i], color=look.color, lw=2.2, solid_capstyle="butt")
        ax.plot(rank.mean, i, look.marker, color=look.color, ms=8, mec="white", mew=0.5)
        if math.isfinite(own.best):
            ax.annotate(
                percent(own.best),
                (1.02, i),
                xycoords=("axes fraction", "data"),
                va="center",
                color="#1d2733" if own.best >= 0.005 else BACKGROUND,
            )
    if math.isfinite(ranked[0].best):
        ax.annotate("probability\nof being best", (1.02, 1.01), xycoords="axes fraction")
    ax.set_yticks(range(len(ranked)), [own.method for own in ranked])
    ax.set(ylim=(len(ranked) - 0.4, -0.6), xlabel="mean rank (1 is best)")
    ax.locator_params(axis="x", integer=True)
    ax.grid(True, axis="x")
    handles = [Line2D([], [], color="#5f6b7a", marker="o", ls="", ms=7, label="mean rank")]
    if math.isfinite(ranked[0].best):
        handles.append(Line2D([], [], color="#5f6b7a", lw=2.2, label="95% interval"))
    if len(ranked[0].by_task) > 1:
        handles.append(Line2D([], [], color="#8a94a3", marker="|", ls="", ms=9, label="one task"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure

"""Who beats whom, as a matrix for each task."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench.report.charts.facets import FEW
from bench.results.loading import Results
from bench.report.charts.style import panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Cells this far from even are dark enough for white figures.
DARK = 0.3


def win_rates(results: Results) -> Figure | None:
    """How often the method in the row beats the one in the column, mean over seeds."""
    head_to_head = results.head_to_head.dropna(subset=["win_rate"])
    tasks = [task for task in results.tasks if (head_to_head["task"] == task).any()]
    if not tasks:
        return None
    many = len(results.methods) > FEW
    size = max(4.4, (0.4 if many else 0.85) * len(results.methods) + 1.6)
    # Side by side while their figures stay readable at the width of a page.
    rows, columns = (len(tasks), 1) if many else (1, len(tasks))
    figure, axes = panels(rows, columns, size, (0.94 if many else 0.84) * size)
    for ax, task in zip((ax for line in axes for ax in line), tasks, strict=True):
        own = head_to_head[head_to_head["task"] == task]
        table = own.pivot_table(index="method", columns="opponent", values="win_rate")
        order = [m for m in results.methods if m in table.index or m in table.columns]
        if many:
            # Who wins most on top, so that a pattern shows.
            wins = table.mean(axis=1)
            order.sort(key=lambda method: -wins.get(method, np.nan))
        _matrix(ax, table.reindex(index=order, columns=order), order, many)
        ax.set(title=results.task_title(task), xlabel="against", ylabel="wins")
    return figure


def _matrix(ax: Axes, table: pd.DataFrame, names: list[str], many: bool) -> None:
    """Draw one task's rates. Seaborn's heatmap would draw the whole figure for every panel."""
    import seaborn

    colors = seaborn.diverging_palette(30, 245, s=80, l=52, as_cmap=True)
    rates = table.to_numpy(dtype=float)
    ax.pcolormesh(
        np.ma.masked_invalid(rates),
        cmap=colors,
        vmin=0,
        vmax=1,
        edgecolors="white",
        lw=1 if many else 2,
    )
    for i, j in np.ndindex(rates.shape):
        rate = float(rates[i, j])
        if math.isnan(rate):
            continue
        ax.text(
            j + 0.5,
            i + 0.5,
            f"{100 * rate:.0f}" if many else f"{rate:.0%}",
            ha="center",
            va="center",
            fontsize=8 if many else 10,
            color="white" if abs(rate - 0.5) > DARK else "#262626",
        )
    places = np.arange(len(names)) + 0.5
    ax.set_xticks(places, names, rotation=45 if many else 30, ha="right", rotation_mode="anchor")
    ax.set_yticks(places, names)
    ax.set(aspect="equal", ylim=(len(names), 0))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)

"""Gold and proxy gain against d = sqrt(KL), with both of Gao's forms: a panel for each method."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench.report.overoptimization import SMALLEST, fits, gains, turning_kl
from bench.results.loading import Results
from bench.report.charts.style import looks, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_COLUMNS = 6
PROXY = "#8a94a3"


def overoptimization(results: Results) -> Figure | None:
    """Every checkpoint and final policy of all settings; curves are the fits of gold."""
    from matplotlib.lines import Line2D

    points = {task: gains(results, task) for task in results.tasks}
    tasks = [task for task, own in points.items() if not own.empty]
    methods = [m for m in results.methods if any((points[t]["method"] == m).any() for t in tasks)]
    if not methods:
        return None
    # Many methods wrap, and their panels are smaller.
    lines = math.ceil(len(methods) / MOST_COLUMNS)
    columns = math.ceil(len(methods) / lines)
    width, height = (3.3, 3.1) if lines == 1 else (2.6, 2.5)
    figure, axes = panels(len(tasks) * lines, columns, width, height)
    for i, task in enumerate(tasks):
        own = points[task]
        low, high = _range(own)
        flat = [ax for line in axes[i * lines : (i + 1) * lines] for ax in line]
        for ax in flat[len(methods) :]:
            ax.set_visible(False)
        for ax, method in zip(flat, methods, strict=False):
            _panel(ax, own[own["method"] == method], looks(results.methods)[method].color)
            ax.set(ylim=(low, high), xlabel="d = √KL", ylabel="gain over SFT")
            ax.set_title(_title(results, task, method, lines), fontsize=10.5)
            ax.grid(True)
    dot = {"ls": "", "marker": "o", "color": "#1d2733"}
    keys = [
        Line2D([], [], **dot, ms=3.5, alpha=0.5, label="gold, checkpoint"),  # type: ignore[arg-type]
        Line2D([], [], **dot, ms=5.5, label="gold, final policy"),  # type: ignore[arg-type]
        Line2D([], [], ls="", marker="x", color=PROXY, ms=4.5, label="proxy"),
        Line2D([], [], color="#1d2733", lw=2, label="gold, better fit"),
        Line2D([], [], color="#1d2733", lw=1.2, ls=":", label="gold, other form"),
        Line2D([], [], color=PROXY, lw=1.4, ls="--", label="proxy, better fit"),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=min(6, 2 * len(methods)))
    return figure


def _title(results: Results, task: str, method: str, lines: int) -> str:
    between = ": " if lines == 1 else "\n"
    return f"{results.task_title(task)}{between}{method}"


def _range(points: pd.DataFrame) -> tuple[float, float]:
    """Return frontiers that hold the gains of all panels, a few far-off ones apart."""
    values = pd.concat([points["gold"], points["proxy"]]).dropna()
    low, high = float(values.quantile(0.005)), float(values.quantile(0.995))
    return min(0.0, low) - 0.1 * (high - low), high + 0.15 * (high - low)


def _panel(ax: Axes, points: pd.DataFrame, color: str) -> None:
    if points.empty:
        ax.set_visible(False)
        return
    ax.axhline(0, color="#8a94a3", lw=0.8)
    ax.plot(points["d"], points["proxy"], "x", color=PROXY, ms=3, alpha=0.5)
    for final, size, alpha in ((False, 3.0, 0.35), (True, 5.0, 0.8)):
        own = points[points["final"] == final]
        ax.plot(own["d"], own["gold"], "o", color=color, ms=size, alpha=alpha, mew=0)
    grid = np.linspace(SMALLEST, float(points["d"].max()), 200)
    for one in fits(points, "proxy")[:1]:
        ax.plot(grid, one.gain(grid), color=PROXY, lw=1.4, ls="--")
    for one, style, width in zip(fits(points), ("-", ":"), (2.0, 1.2), strict=False):
        ax.plot(grid, one.gain(grid), color=color, ls=style, lw=width)
    turn = turning_kl(points)
    if np.isfinite(turn):
        ax.axvline(turn**0.5, color=color, lw=1, ls="-.")
        late = turn**0.5 > 0.6 * points["d"].max()
        ax.annotate(
            f"turns at\nKL {turn:.1f}",
            (turn**0.5, 0.02),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if late else 4, 0),
            textcoords="offset points",
            ha="right" if late else "left",
            color=color,
        )

"""The signature figure: gold reward against KL, below the frontier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench.analysis.averages import mean_curve, seed_curves
from bench.report.charts.facets import FEW, facet_panels
from bench.results.loading import Results
from bench.analysis.selection import ok_rows, select_settings
from bench.report.charts.style import BACKGROUND, LIMIT_COLOR, SHADE, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def frontier(results: Results) -> Figure | None:
    """Gold reward against KL: every setting and seed, below the frontier.

    Of many methods a panel shows those of a kind, and the others behind them in gray.
    """
    from matplotlib.lines import Line2D

    tasks = [t for t in results.tasks if not _tested(results, t).empty]
    if not tasks:
        return None
    gray: dict[str, Any] = {"color": "#5f6b7a", "marker": "o", "ls": ""}
    ring: dict[str, Any] = {
        "markerfacecolor": "none",
        "markeredgecolor": LIMIT_COLOR,
        "markersize": 11,
    }
    extra = [
        Line2D([], [], **gray, markersize=3.5, alpha=0.6, label="one seed"),
        Line2D([], [], **gray, markersize=7, label="mean of a setting"),
        Line2D([], [], **(gray | ring), label="selected setting"),
    ]
    if len(results.methods) > FEW:
        extra.append(Line2D([], [], color=BACKGROUND, lw=1.2, label="the other methods"))
    figure, found = facet_panels(results, tasks, results.methods, (6.2, 5.0), extra)
    for ax, task, facet in found:
        _frontier_panel(ax, results, task, facet.methods)
    return figure


def _tested(results: Results, task: str) -> pd.DataFrame:
    rows = ok_rows(results.runs)
    rows = rows[(rows["task"] == task) & (rows["split"] == "test")]
    return rows.dropna(subset=["kl", "reward"])


def _frontier_panel(ax: Axes, results: Results, task: str, shown: list[str]) -> None:
    rows = _tested(results, task)
    chosen = select_settings(results.runs, task)
    right = max(1.08 * rows["kl"].max(), 0.5)
    frontier = results.frontier[results.frontier["task"] == task]
    heights = list(rows["reward"])
    if seed_curves(frontier, "kl", "reward"):
        xs, ys = mean_curve(frontier, "kl", "reward")
        heights += ys[xs <= right].tolist()
    span = (max(heights) - min(heights)) or 1.0
    bottom, top = min(heights) - 0.06 * span, max(heights) + 0.1 * span
    ax.set(xlim=(-0.03 * right, right), ylim=(bottom, top))
    ax.set(xlabel="KL to the SFT policy (nats)", ylabel=f"{results.scale(task)} reward")
    ax.grid(True)
    if seed_curves(frontier, "kl", "reward"):
        _draw_limit(ax, frontier, right, top)
    for method, look in looks(results.methods).items():
        own = rows[rows["method"] == method]
        means = own.groupby("params")[["strength", "kl", "reward"]].mean()
        means = means.sort_values("strength")
        if method not in shown:
            behind: dict[str, Any] = {"color": BACKGROUND, "marker": ".", "ms": 3}
            ax.plot(means["kl"], means["reward"], **behind, lw=1, zorder=1)
            continue
        ax.scatter(own["kl"], own["reward"], s=13, color=look.color, alpha=0.35, lw=0)
        shape: dict[str, Any] = {"color": look.color, "marker": look.marker}
        white: dict[str, Any] = {"mec": "white", "mew": 0.9, "ms": 7.5}
        ax.plot(means["kl"], means["reward"], **shape, **white, lw=1.8, zorder=4)
        ring = means[means.index == chosen.get(method)]
        around: dict[str, Any] = {"mfc": "none", "mec": look.color, "mew": 1.6, "ms": 14}
        ax.plot(ring["kl"], ring["reward"], "o", **around, zorder=5)


def _draw_limit(ax: Axes, frontier: pd.DataFrame, right: float, top: float) -> None:
    xs, ys = mean_curve(frontier, "kl", "reward")
    ax.fill_between(xs, ys, np.maximum(top, ys), color=SHADE, lw=0, zorder=0)
    for own in seed_curves(frontier, "kl", "reward"):
        ax.plot(own["kl"], own["reward"], color=LIMIT_COLOR, lw=0.6, alpha=0.22, zorder=2)
    ax.plot(xs, ys, color=LIMIT_COLOR, lw=2.0, zorder=3)
    ax.annotate(
        "not reachable",
        (0, top),
        xytext=(8, -8),
        textcoords="offset points",
        va="top",
        color="#8a94a3",
    )
    # Just above the curve, where it is flat enough to run alongside the words; behind its end
    # where it is too short for them.
    short = xs[-1] < 0.5 * right
    place = xs[-1] if short else 0.62 * min(right, xs[-1])
    ax.annotate(
        "the frontier",
        (place, float(np.interp(place, xs, ys))),
        xytext=(6, 0) if short else (-4, 5),
        textcoords="offset points",
        ha="left" if short else "right",
        va="center" if short else "bottom",
        fontweight="bold",
        color=LIMIT_COLOR,
        zorder=6,
    )

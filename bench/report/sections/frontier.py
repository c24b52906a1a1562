"""The signature chart: reward against KL, below the optimal frontier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench.analysis.averages import mean_curve, seed_curves
from bench.analysis.selection import ok_rows, select_settings
from bench.report.charts.facets import FEW, facet_panels
from bench.report.charts.frontier import KL_TICKS
from bench.report.charts.plots import usual_limit
from bench.report.charts.style import (
    BACKGROUND,
    OPTIMAL_COLOR,
    SHADE,
    SOFT,
    ZERO_COLOR,
    Look,
    looks,
    scale,
)
from bench.report.content.display import count, number
from bench.report.content.section import Column, Part, Section, Table
from bench.results.loading import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ESTIMATE_NOTE = (
    "Where not every response can be enumerated, the optimal frontier is estimated from samples of "
    "the SFT policy and, where that reaches further, of trained policies that moved far. It is "
    "drawn, and used, only as far as bias and two standard errors stay within 2% of its gain over "
    "SFT, 5 effective samples are left for each prompt, and either the KL is below log n - 3 for n "
    "samples of the SFT policy or a sampled policy has moved that far. A task without a line has "
    "too few samples for any of it: raise frontier_samples in the experiment. Numbers are means "
    "over seeds."
)
LONG_LABEL = "KL to the SFT policy (nats), on a square-root scale"
SHORT_LABEL = "KL (nats), square-root scale"
COLUMNS = (
    Column("task", "task", "text"),
    Column("kl", "drawn to KL (nats)"),
    Column("reward", "reward there"),
    Column(
        "effective_samples",
        "effective samples there",
        help="For each prompt, by Kish's formula: how many samples the estimate rests on.",
    ),
    Column("fewest", "fewest anywhere", help="The fewest effective samples at any KL and seed."),
    Column("seeds", "seeds"),
)


def frontier_section(results: Results) -> Section | None:
    """Return the section; None where no task has a frontier."""
    table = frontier_table(results)
    if not table:
        return None
    part = Part(tables=(table,))
    return Section("frontier", "The optimal frontier", ESTIMATE_NOTE, parts=(part,))


def frontier_table(results: Results) -> Table:
    """Return how far each task's frontier reaches, and on how many effective samples it rests."""
    rows = []
    for task, points in results.frontier.groupby("task", sort=False):
        ends = points.sort_values("kl").groupby("seed").tail(1)
        samples = points["effective_samples"]
        fewest = samples.groupby(points["seed"]).min()
        exact = samples.isna().all()
        rows.append(
            {
                "task": results.task_title(str(task)),
                "kl": number(ends["kl"].mean()),
                "reward": number(ends["reward"].mean()),
                "effective_samples": "exact" if exact else count(ends["effective_samples"].mean()),
                "fewest": "exact" if exact else count(fewest.min()),
                "seeds": str(len(ends)),
            }
        )
    return Table.of(COLUMNS, rows)


def tasks_with_points(results: Results) -> list[str]:
    """Return the tasks on which a run has a reward and a KL."""
    return [task for task in results.tasks if not _test_rows(results, task).empty]


def frontier_figure(
    results: Results, tasks: Sequence[str], size: tuple[float, float] = (6.2, 5.0)
) -> Figure | None:
    """Draw every setting and seed below the optimal frontier, a panel for each task.

    With many methods a panel shows those of one kind, and the others behind them in gray.

    Args:
        results: The results.
        tasks: Those with points that are drawn; without any there is no figure.
        size: Width and height of a panel (inches).
    """
    if not tasks:
        return None
    keys = _keys(many=len(results.methods) > FEW)
    figure, drawn = facet_panels(results, tasks, results.methods, size, keys)
    for ax, task, facet in drawn:
        _draw_panel(ax, results, task, facet.methods)
        # The panels of a task share its vertical axis.
        if facet is not drawn[0].facet:
            ax.set_ylabel("")
    return figure


def _keys(many: bool) -> list[Any]:
    """Return the legend's entries besides the methods."""
    from matplotlib.lines import Line2D

    gray: dict[str, Any] = {"color": SOFT, "marker": "o", "ls": ""}
    ring: dict[str, Any] = {"mfc": "none", "mec": OPTIMAL_COLOR, "ms": 11}
    keys = [
        Line2D([], [], **gray, ms=3.5, alpha=0.6, label="one seed"),
        Line2D([], [], **gray, ms=7, label="mean of a setting"),
        Line2D([], [], **gray, **ring, label="selected setting"),
    ]
    if many:
        keys.append(Line2D([], [], color=BACKGROUND, lw=1.2, label="the other methods"))
    return keys


def _test_rows(results: Results, task: str) -> pd.DataFrame:
    rows = ok_rows(results.runs)
    rows = rows[(rows["task"] == task) & (rows["split"] == "test")]
    return rows.dropna(subset=["kl", "reward"])


def _draw_panel(ax: Axes, results: Results, task: str, shown: list[str]) -> None:
    rows, selected = _test_rows(results, task), select_settings(results.runs, task)
    frontier = results.frontier[results.frontier["task"] == task]
    known = bool(seed_curves(frontier, "kl", "reward"))
    chosen = rows["params"] == rows["method"].map(selected)
    right = max(usual_limit(rows["kl"], rows[chosen].groupby("method")["kl"].mean()), 0.5)
    within = rows["kl"] <= right
    heights = list(rows.loc[within, "reward"])
    if known:
        xs, ys = mean_curve(frontier, "kl", "reward")
        heights += ys[xs <= right].tolist()
    span = (max(heights) - min(heights)) or 1.0
    bottom, top = min(heights) - 0.06 * span, max(heights) + 0.1 * span
    set_kl_axis(ax, right, int((~within).sum()))
    ax.set(ylim=(bottom, top), ylabel=f"{results.reward_source(task)} reward")
    ax.grid(True)
    if known:
        _draw_frontier(ax, frontier, right, top)
    for method, look in looks(results.methods).items():
        own_rows = rows[rows["method"] == method]
        means = own_rows.groupby("params")[["strength", "kl", "reward"]].mean()
        means = means.sort_values("strength")
        if method in shown:
            dots: dict[str, Any] = {"s": 13 * scale() ** 2, "color": look.color, "alpha": 0.35}
            ax.scatter(own_rows["kl"], own_rows["reward"], **dots, lw=0)
            _draw_method(ax, means, look, selected.get(method))
        else:
            background: dict[str, Any] = {"color": BACKGROUND, "marker": ".", "ms": 3, "zorder": 1}
            ax.plot(means["kl"], means["reward"], **background, lw=1)


def set_kl_axis(ax: Axes, right: float, beyond: int) -> None:
    """Scale the axis by the square root of the KL, so that one large KL leaves room for others."""
    ax.set_xscale("function", functions=(lambda x: np.sign(x) * np.sqrt(np.abs(x)), np.square))
    ax.set_xlim(-0.001 * right, right)
    small = scale() < 1
    ticks = [tick for tick in KL_TICKS if (0.06 if small else 0.02) * right <= tick <= right]
    ax.set_xticks([0, *ticks], labels=["0", *(f"{tick:g}" for tick in ticks)])
    further = f"\n({beyond} run{'' if beyond == 1 else 's'} further right)" if beyond else ""
    ax.set_xlabel(f"{SHORT_LABEL if small else LONG_LABEL}{further}")


def _draw_method(ax: Axes, means: pd.DataFrame, look: Look, selected: str | None) -> None:
    """Draw the means of a method's settings, with a ring around the selected one."""
    size = scale()
    line: dict[str, Any] = {"color": look.color, "marker": look.marker, "lw": 1.8 * size}
    edge: dict[str, Any] = {"ms": 7.5 * size, "mec": "white", "mew": 0.9 * size}
    ax.plot(means["kl"], means["reward"], **line, **edge, zorder=4)
    ring = means[means.index == selected]
    around: dict[str, Any] = {"mfc": "none", "mec": look.color, "mew": 1.6 * size}
    ax.plot(ring["kl"], ring["reward"], "o", **around, ms=14 * size, zorder=5)


def _draw_frontier(ax: Axes, frontier: pd.DataFrame, right: float, top: float) -> None:
    xs, ys = mean_curve(frontier, "kl", "reward")
    ax.fill_between(xs, ys, np.maximum(top, ys), color=SHADE, lw=0, zorder=0)
    for seed in seed_curves(frontier, "kl", "reward"):
        ax.plot(seed["kl"], seed["reward"], color=OPTIMAL_COLOR, lw=0.6, alpha=0.22, zorder=2)
    ax.plot(xs, ys, color=OPTIMAL_COLOR, lw=2.0 * scale(), zorder=3)
    ax.annotate(
        "not reachable",
        (0, top),
        xytext=(8, -8),
        textcoords="offset points",
        va="top",
        color=ZERO_COLOR,
    )
    # Just above the curve, where it is flat enough to run alongside the word; behind its end
    # where it is too short for that.
    short = xs[-1] < 0.5 * right
    place = xs[-1] if short else 0.62 * min(right, xs[-1])
    ax.annotate(
        "optimal",
        (place, float(np.interp(place, xs, ys))),
        xytext=(6, 0) if short else (-4, 5),
        textcoords="offset points",
        ha="left" if short else "right",
        va="center" if short else "bottom",
        fontweight="bold",
        color=OPTIMAL_COLOR,
        zorder=6,
    )

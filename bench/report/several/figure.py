"""The static form of the chart of all folders, for readers without scripts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.report.charts.style import OPTIMAL_COLOR, SOFT, looks, panels
from bench.report.charts.style import Look as MethodLook
from bench.report.sections.frontier import set_kl_axis
from bench.report.several.chart import LOOKS, Look, Points
from bench.report.several.folders import Folder

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_ROW = 3
# Entries of the legend for each column of panels.
ENTRIES = 4


def comparison_figure(
    folders: Sequence[Folder], points: Mapping[str, Points], methods: Sequence[str]
) -> Figure:
    """Draw every setting of every folder, a panel for each task.

    Args:
        folders: In the order of LOOKS.
        points: What is drawn of each task, at least of one.
        methods: All methods, by which their looks are chosen.
    """
    columns = min(PER_ROW, len(points))
    figure, grid = panels(math.ceil(len(points) / columns), columns, 5.6, 4.6)
    axes = [ax for row in grid for ax in row]
    shown = looks(methods)
    for ax, (task, drawn) in zip(axes, points.items(), strict=False):
        source = folders[0].results.reward_source(task)
        ax.set(title=folders[0].results.task_title(task), ylabel=f"{source} reward")
        ax.set_ylim(drawn.height)
        set_kl_axis(ax, drawn.limit, drawn.beyond)
        ax.grid(True)
        for folder, look in zip(folders, LOOKS, strict=False):
            frontier = drawn.frontier[drawn.frontier["results"] == folder.name]
            ax.plot(
                frontier["kl"], frontier["reward"], color=OPTIMAL_COLOR, ls=_style(look), lw=1.6
            )
            _draw(ax, drawn.means[drawn.means["results"] == folder.name], look, shown)
    for ax in axes[len(points) :]:
        ax.remove()
    handles = _handles(folders, shown)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(len(handles), ENTRIES * columns)
    )
    return figure


def _draw(ax: Axes, means: pd.DataFrame, look: Look, methods: Mapping[str, MethodLook]) -> None:
    """Draw the settings of a folder's methods, with rings around the selected ones."""
    for method, own in means.sort_values("strength").groupby("method", sort=False):
        color = methods[str(method)].color
        line = _line(methods[str(method)], look)
        errors = [own["reward"] - own["low"], own["high"] - own["reward"]]
        ax.errorbar(own["kl"], own["reward"], yerr=errors, **line, elinewidth=1)
        ring = own[own["selected"]]
        ax.plot(ring["kl"], ring["reward"], "o", mfc="none", mec=color, mew=1.4, ms=13)


def _line(method: MethodLook, look: Look) -> dict[str, Any]:
    from matplotlib.colors import to_rgba

    return {
        "color": method.color,
        "marker": method.marker,
        "ls": _style(look),
        "lw": 1.4,
        "ms": 6.5,
        "mfc": to_rgba(method.color, look.fill),
        "mec": method.color,
    }


def _style(look: Look) -> Any:
    """Return a line's style as matplotlib reads it, which counts in line widths."""
    return (0, tuple(length / 1.4 for length in look.dash)) if look.dash else "-"


def _handles(folders: Sequence[Folder], methods: Mapping[str, MethodLook]) -> list[Any]:
    """Return the legend's entries: methods, then folders in gray."""
    from matplotlib.lines import Line2D

    gray = MethodLook(SOFT, "o")
    return [
        *(
            Line2D([], [], color=look.color, marker=look.marker, ls="", label=method)
            for method, look in methods.items()
        ),
        *(
            Line2D([], [], **_line(gray, look), label=folder.name)
            for folder, look in zip(folders, LOOKS, strict=False)
        ),
    ]

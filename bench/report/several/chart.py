"""Reward against KL with all folders in one chart: methods by color, folders by fill and dashes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from bench.report.charts.frontier import LINEAR, SQUARE_ROOT, kl_axis
from bench.report.charts.plots import records, specifications, usual_limit, zoom
from bench.report.content.display import visible
from bench.report.content.section import Mark, Plot, Switch
from bench.report.sections.overview import (
    axis_heights,
    frontier_points,
    run_points,
    setting_means,
)
from bench.report.several.folders import Folder

if TYPE_CHECKING:
    import altair as alt

INTRODUCTION = (
    "Means over seeds at each setting, on test prompts, with 95% intervals; rings mark the "
    "settings selected on validation prompts. A method has one color, a folder one fill and one "
    "kind of line; lines in the color of the text are the folders' optimal frontiers. Drag to zoom."
)


class Look(NamedTuple):
    """How a folder's points and lines look.

    Attributes:
        fill: Opacity inside its points: 1 is filled, 0 is open.
        dash: Lengths of its lines' dashes and gaps; empty for a solid line.
    """

    fill: float
    dash: tuple[int, ...]


# Of the first folder, the second, and so on.
LOOKS = (
    Look(1.0, ()),
    Look(0.0, (6, 4)),
    Look(0.45, (2, 3)),
    Look(0.7, (9, 3, 2, 3)),
    Look(0.2, (2, 6)),
    Look(0.85, (14, 4)),
)


class Points(NamedTuple):
    """What is drawn of a task; every table has the column `results`, a folder's name.

    Attributes:
        means: A row for each setting.
        frontier: Points along each folder's optimal frontier.
        limit: Where the KL axis ends.
        beyond: How many runs lie further right.
        height: Where the reward's axis starts and ends.
    """

    means: pd.DataFrame
    frontier: pd.DataFrame
    limit: float
    beyond: int
    height: tuple[float, float]


def task_points(folders: Sequence[Folder], task: str) -> Points | None:
    """Return what is drawn of a task; None where no run has a reward and a KL."""
    runs = _each(folders, [run_points(folder.results, task) for folder in folders])
    if runs.empty:
        return None
    by_folder = [runs[runs["results"] == folder.name] for folder in folders]
    means = _each(folders, [setting_means(own) for own in by_folder])
    limit = usual_limit(runs["kl"], means.loc[means["selected"], "kl"])
    frontier = _each(folders, [frontier_points(folder.results, task, limit) for folder in folders])
    height = axis_heights(runs[runs["kl"] <= limit], frontier)["reward"]
    return Points(means, frontier, limit, int((runs["kl"] > limit).sum()), height)


def _each(folders: Sequence[Folder], frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the folders' tables as one, with their names; empty ones are left out."""
    named = [
        frame.assign(results=folder.name)
        for folder, frame in zip(folders, frames, strict=True)
        if len(frame)
    ]
    return pd.concat(named, ignore_index=True) if named else frames[0].assign(results="")


def comparison_plot(folders: Sequence[Folder], task: str, points: Points) -> Plot:
    """Return the interactive chart of a task."""
    names = [folder.name for folder in folders]
    source = f"{folders[0].results.reward_source(task)} reward"
    switches = (Switch("x", (SQUARE_ROOT, LINEAR)),)

    def make(x: str) -> alt.LayerChart:
        return comparison_chart(x, source, names, points)

    means = points.means.assign(setting=points.means["setting"].map(visible))
    data = {"means": records(means), "frontier": records(points.frontier)}
    title = f"{source} against KL on {task}"
    key = tuple(Mark(name, look.dash, look.fill) for name, look in zip(names, LOOKS, strict=False))
    return Plot(task, title, specifications(make, switches), data, switches, key)


def comparison_chart(x: str, source: str, names: Sequence[str], points: Points) -> alt.LayerChart:
    """Return one choice of the chart, of the data "means" and "frontier".

    Args:
        x: SQUARE_ROOT or LINEAR.
        source: What measures the policies, such as "gold reward".
        names: The folders' names.
        points: What is drawn, for the axes.
    """
    import altair as alt

    dash, fill = _dash(names), _fill(names)
    means, color = alt.Chart(alt.NamedData("means")), alt.Color("method:N")
    frontier = alt.Chart(alt.NamedData("frontier"))
    lines = means.mark_line(clip=True, strokeWidth=1.6)
    rules = means.mark_rule(clip=True, opacity=0.7)
    rings = means.mark_point(clip=True, filled=False, size=330, strokeWidth=1.6, shape="circle")
    marks = means.mark_point(clip=True, size=75, opacity=1, strokeWidth=1.8)
    return alt.layer(
        frontier.mark_line(clip=True, style="ink", strokeWidth=1.8).encode(strokeDash=dash),
        lines.encode(color=color, strokeDash=dash, order=alt.Order("strength:Q")),
        rules.encode(color=color, y=alt.Y("low:Q"), y2="high:Q"),
        rings.transform_filter("datum.selected").encode(color=color),
        marks.encode(
            fill=alt.Fill("method:N"),
            stroke=alt.Stroke("method:N"),
            shape=alt.Shape("method:N"),
            fillOpacity=fill,
            tooltip=_about(source),
        ).add_params(zoom()),
    ).encode(
        x=kl_axis(x, points.limit, points.beyond),
        y=alt.Y("reward:Q", title=source, scale=alt.Scale(domain=list(points.height), nice=False)),
    )


def _dash(names: Sequence[str]) -> Any:
    import altair as alt

    dashes = [list(look.dash) or [1, 0] for look in LOOKS[: len(names)]]
    scale: Any = alt.Scale(domain=list(names), range=dashes)
    return alt.StrokeDash("results:O", scale=scale, legend=None)


def _fill(names: Sequence[str]) -> Any:
    import altair as alt

    fills = [look.fill for look in LOOKS[: len(names)]]
    scale: Any = alt.Scale(type="ordinal", domain=list(names), range=fills)
    return alt.FillOpacity("results:O", scale=scale, legend=None)


def _about(source: str) -> list[alt.Tooltip]:
    import altair as alt

    return [
        alt.Tooltip("results:N"),
        alt.Tooltip("method:N"),
        alt.Tooltip("setting:N"),
        alt.Tooltip("reward:Q", title=source, format=".2f"),
        alt.Tooltip("low:Q", title="95% interval from", format=".2f"),
        alt.Tooltip("high:Q", title="to", format=".2f"),
        alt.Tooltip("kl:Q", title="KL (nats)", format=".2f"),
        alt.Tooltip("seeds:Q"),
    ]

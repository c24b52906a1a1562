"""The interactive chart of what a method gained against what it used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from bench.report.charts.plots import zoom

if TYPE_CHECKING:
    import altair as alt

# Usage that differs by more is drawn on a logarithmic axis; below this share it counts as none.
LINEAR_RATIO, NONE = 30, 0.01


def usage_chart(name: str, labels: Mapping[str, str], values: list[float]) -> alt.LayerChart:
    """Return gain against one kind of usage, of the data "methods".

    Args:
        name: The column of the usage.
        labels: What each kind of usage is called, by column.
        values: Of the usage, by which the axis is scaled.
    """
    import altair as alt

    methods = alt.Chart(alt.NamedData("methods"))
    about = [alt.Tooltip("method:N"), alt.Tooltip("setting:N")]
    gain = [
        alt.Tooltip("gain:Q", title="gain over SFT", format=".2f"),
        alt.Tooltip("low:Q", title="95% interval from", format=".2f"),
        alt.Tooltip("high:Q", title="to", format=".2f"),
    ]
    used = [alt.Tooltip(f"{key}:Q", title=label, format=",~r") for key, label in labels.items()]
    zero = alt.Chart(alt.NamedData("zero")).mark_rule(strokeDash=[3, 3])
    intervals = methods.mark_rule(clip=True, strokeWidth=1.6)
    points = methods.mark_point(filled=True, size=110, opacity=1).add_params(zoom())
    return alt.layer(
        zero.encode(x=alt.value(0), x2=alt.value("width")),
        intervals.encode(y="low:Q", y2="high:Q", color="method:N"),
        points.encode(color="method:N", shape="method:N", tooltip=[*about, *gain, *used]),
    ).encode(
        x=alt.X(f"{name}:Q", title=labels[name], scale=_scale(values), axis=_axis()),
        y=alt.Y("gain:Q", title="reward gained over SFT"),
    )


def _axis() -> alt.Axis:
    import altair as alt

    return alt.Axis(format="~s", tickCount=6)


def _scale(values: list[float]) -> alt.Scale:
    """Return a scale from 0; where usage differs much, logarithmic above the smallest."""
    import altair as alt

    end = 1.06 * max(values, default=0.0) or 1.0
    if smallest := logarithmic_from(values):
        return alt.Scale(type="symlog", constant=smallest, domain=[0, end])
    return alt.Scale(domain=[0, end], nice=False)


def logarithmic_from(values: Iterable[float]) -> float:
    """Return where an axis of usage becomes logarithmic, 0 where it stays linear."""
    known = [value for value in values if value > 0]
    used = [value for value in known if value >= NONE * max(known)]
    return min(used) if used and max(used) / min(used) > LINEAR_RATIO else 0.0

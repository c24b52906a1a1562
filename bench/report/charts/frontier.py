"""The interactive chart of reward against KL, below the optimal frontier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.report.charts.plots import zoom

if TYPE_CHECKING:
    import altair as alt

SQUARE_ROOT, LINEAR, SECONDS = "√KL", "KL", "time"
MEANS, SEEDS = "means", "seeds"
PROXY = "proxy reward"
KL_TICKS = (0.1, 0.25, 0.5, 1, 2, 4, 7, 10, 15, 25, 40, 60, 100, 150, 250, 400, 600, 1000)
AXES = {
    SQUARE_ROOT: "KL to the SFT policy (nats), square-root scale",
    LINEAR: "KL to the SFT policy (nats)",
    SECONDS: "training time (s)",
}


def frontier_chart(
    x: str,
    y: str,
    points: str,
    source: str,
    limit: float,
    beyond: int,
    heights: Mapping[str, tuple[float, float]],
) -> alt.LayerChart:
    """Return one choice of the chart, of the data "means", "seeds" and "frontier".

    Args:
        x: SQUARE_ROOT, LINEAR or SECONDS.
        y: The source's reward, or PROXY.
        points: MEANS or SEEDS.
        source: What measures the policies, such as "gold reward".
        limit: Where the KL axis ends.
        beyond: How many runs lie further right.
        heights: Where the vertical axis starts and ends, for "reward" and "proxy".
    """
    import altair as alt

    against_kl = x != SECONDS
    field = "proxy" if y == PROXY else "reward"
    layers: list[Any] = []
    if against_kl and field == "reward":
        optimal = alt.Chart(alt.NamedData("frontier"))
        layers.append(optimal.mark_line(clip=True, style="ink", strokeWidth=2))
    layers += _seeds(source) if points == SEEDS else _means(source, field)
    layers[-1] = layers[-1].add_params(zoom())
    return alt.layer(*layers).encode(
        x=kl_axis(x, limit, beyond) if against_kl else alt.X("time:Q", title=AXES[x]),
        y=alt.Y(f"{field}:Q", title=y, scale=alt.Scale(domain=list(heights[field]), nice=False)),
    )


def kl_axis(x: str, limit: float, beyond: int) -> alt.X:
    """Return the axis of the KL.

    Args:
        x: SQUARE_ROOT or LINEAR.
        limit: Where it ends.
        beyond: How many runs lie further right.
    """
    import altair as alt

    title = AXES[x]
    if beyond:
        title += f" · {beyond} run{'' if beyond == 1 else 's'} further right"
    # A little room for marks at no KL.
    scale: Any = alt.Scale(domain=[-0.01 * limit, limit], nice=False)
    if x == LINEAR:
        return alt.X("kl:Q", title=title, scale=scale)
    ticks = [0, *(tick for tick in KL_TICKS if 0.02 * limit <= tick <= limit)]
    scale = alt.Scale(type="sqrt", domain=[-0.001 * limit, limit], nice=False)
    return alt.X("kl:Q", title=title, scale=scale, axis=alt.Axis(values=ticks, format=".3~g"))


def _about(source: str) -> list[alt.Tooltip]:
    import altair as alt

    return [
        alt.Tooltip("method:N"),
        alt.Tooltip("setting:N"),
        alt.Tooltip("reward:Q", title=source, format=".2f"),
        alt.Tooltip("proxy:Q", title=PROXY, format=".2f"),
        alt.Tooltip("kl:Q", title="KL (nats)", format=".2f"),
        alt.Tooltip("time:Q", title="training (s)", format=".1f"),
    ]


def _line(opacity: float) -> alt.Chart:
    """Return the lines that join a method's settings in order of KL strength."""
    import altair as alt

    lines = alt.Chart(alt.NamedData("means")).mark_line(clip=True, strokeWidth=1.6, opacity=opacity)
    return lines.encode(color=alt.Color("method:N"), order=alt.Order("strength:Q"))


def _seeds(source: str) -> list[alt.Chart]:
    """Return every run, on faint lines through the means."""
    import altair as alt

    points = alt.Chart(alt.NamedData("seeds")).mark_point(clip=True, filled=True, size=38)
    about = _about(source)
    return [
        _line(0.35),
        points.encode(
            color=alt.Color("method:N"),
            shape=alt.Shape("method:N"),
            opacity=alt.value(0.65),
            tooltip=[*about[:2], alt.Tooltip("seed:O"), *about[2:]],
        ),
    ]


def _means(source: str, field: str) -> list[alt.Chart]:
    """Return the mean of every setting with its interval, the selected ones in rings."""
    import altair as alt

    means = alt.Chart(alt.NamedData("means"))
    color = alt.Color("method:N")
    interval = [
        alt.Tooltip("low:Q", title="95% interval from", format=".2f"),
        alt.Tooltip("high:Q", title="to", format=".2f"),
        alt.Tooltip("seeds:Q"),
    ]
    rules = means.mark_rule(clip=True, opacity=0.7).encode(
        color=color, y=alt.Y("low:Q"), y2="high:Q"
    )
    rings = means.mark_point(clip=True, filled=False, size=330, strokeWidth=1.6, shape="circle")
    points = means.mark_point(clip=True, filled=True, size=75, opacity=1)
    return [
        _line(0.9),
        *([rules] if field == "reward" else []),
        rings.transform_filter("datum.selected").encode(color=color),
        points.encode(
            color=color,
            shape=alt.Shape("method:N"),
            tooltip=[*_about(source), *interval],
        ),
    ]

"""The interactive chart of over-optimization: true and proxy gain against the KL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.report.charts.plots import zoom

if TYPE_CHECKING:
    import altair as alt

PROXY = "proxy"


def gains_chart(shown: str, source: str, limit: float) -> alt.LayerChart:
    """Return gains of one reward, of the data "points" and "fits".

    Args:
        shown: The source's name, or PROXY.
        source: What measures the policies: gold or judge.
        limit: Where the horizontal axis ends.
    """
    import altair as alt

    field = PROXY if shown == PROXY else "reward"
    points = alt.Chart(alt.NamedData("points"))
    fits = alt.Chart(alt.NamedData("fits"))
    about = [
        alt.Tooltip("method:N"),
        alt.Tooltip("setting:N"),
        alt.Tooltip("seed:O"),
        alt.Tooltip("policy:N"),
        alt.Tooltip("reward:Q", title=f"{source} gain", format=".2f"),
        alt.Tooltip("proxy:Q", title="proxy gain", format=".2f"),
        alt.Tooltip("kl:Q", title="KL (nats)", format=".2f"),
    ]
    size = alt.condition("datum.policy == 'final'", alt.value(46), alt.value(16))
    return alt.layer(
        points.mark_point(clip=True, filled=True, opacity=0.45).encode(
            color="method:N", shape="method:N", size=size, tooltip=about
        ),
        fits.mark_line(clip=True, strokeWidth=2.2).encode(color="method:N").add_params(zoom()),
    ).encode(
        x=alt.X(
            "d:Q",
            title="d = √KL",
            scale=alt.Scale(domain=[0, limit], nice=False),
            axis=alt.Axis(tickCount=10),
        ),
        y=alt.Y(f"{field}:Q", title=f"{shown} reward gained over SFT"),
    )

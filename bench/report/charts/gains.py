"""Charts of over-optimization, interactive and static: true and proxy gain against the KL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.report.charts.plots import zoom
from bench.report.charts.style import INK, SOFT

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench.analysis.overoptimization import Turn

PROXY = "proxy"
PROXY_COLOR = "#8a94a3"


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
    dash = alt.condition("datum.turn", alt.value([1, 0]), alt.value([5, 4]))
    size = alt.condition("datum.policy == 'final'", alt.value(56), alt.value(22))
    return alt.layer(
        points.mark_point(clip=True, filled=True, opacity=0.45).encode(
            color="method:N", shape="method:N", size=size, tooltip=about
        ),
        fits.mark_line(clip=True, strokeWidth=2.2)
        .encode(color="method:N", strokeDash=dash)
        .add_params(zoom()),
    ).encode(
        x=alt.X(
            "d:Q",
            title="d = √KL",
            scale=alt.Scale(domain=[0, limit], nice=False),
            axis=alt.Axis(tickCount=10),
        ),
        y=alt.Y(f"{field}:Q", title=f"{shown} reward gained over SFT"),
    )


def draw_legend(figure: Figure, source: str, columns: int) -> None:
    """Say what the points and lines of the static chart are."""
    from matplotlib.lines import Line2D

    dot: dict[str, Any] = {"ls": "", "marker": "o", "color": INK}
    handles = [
        Line2D([], [], **dot, ms=3.5, alpha=0.5, label=f"{source}, checkpoint"),
        Line2D([], [], **dot, ms=5.5, label=f"{source}, final policy"),
        Line2D([], [], ls="", marker="x", color=PROXY_COLOR, ms=4.5, label="proxy"),
        Line2D([], [], color=INK, lw=2, label=f"{source}, better fit"),
        Line2D([], [], color=INK, lw=1.2, ls=":", label=f"{source}, other form"),
        Line2D([], [], color=PROXY_COLOR, lw=1.4, ls="--", label="proxy, better fit"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def note_points_beyond(ax: Axes, points: pd.DataFrame) -> None:
    """Say how many points lie outside the axes: an outlier must not set the scale of a chart."""
    (_, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    outside = points["d"] > right
    outside |= (points["reward"] < low) | (points["reward"] > high)
    if beyond := int(outside.sum()):
        ax.annotate(
            f"{beyond} point{'' if beyond == 1 else 's'} beyond",
            (0.99, 0.98),
            xycoords="axes fraction",
            ha="right",
            va="top",
            fontsize=8,
            color=SOFT,
        )


def draw_turn(ax: Axes, turn: Turn, color: str) -> None:
    """Mark where the reward turns."""
    place = turn.kl**0.5
    ax.axvline(place, color=color, lw=1, ls="-.")
    late = turn.kl > 0.36 * turn.furthest_kl
    ax.annotate(
        f"turns at\nKL {turn.kl:.1f}",
        (place, 0.02),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if late else 4, 0),
        textcoords="offset points",
        ha="right" if late else "left",
        color=color,
    )

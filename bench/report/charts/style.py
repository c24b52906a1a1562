"""How figures look: one color and one marker per method, in every figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from bench.results.loading import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Look(NamedTuple):
    """A method's color and marker.

    Attributes:
        color: As matplotlib reads it.
        marker: As matplotlib reads it.
    """

    color: str
    marker: str

    @property
    def dark_color(self) -> str:
        """The color on a dark page."""
        return ON_DARK.get(self.color, self.color)

    @property
    def path(self) -> str:
        """The marker as an SVG path between -1 and 1."""
        return PATHS[self.marker]


INK = "#1d2733"
SOFT = "#5f6b7a"
# Of axes, and of the line at 0.
ZERO_COLOR = "#8a94a3"
GRID_COLOR = "#dfe3e8"
OPTIMAL_COLOR = INK
BACKGROUND = "#c9ced6"
SHADE = "#eef0f3"
# Okabe and Ito's palette, which color-blind readers can tell apart; markers for print in gray.
KNOWN = {
    "sft": Look(SOFT, "o"),
    "ppo": Look("#D55E00", "o"),
    "dpo": Look("#0072B2", "s"),
    "ppo_gold": Look("#E69F00", "D"),
    "best_of_n": Look("#009E73", "^"),
}
# Other methods take unused colors first, then two of the known ones with other markers.
COLORS = (
    "#CC79A7",
    "#56B4E9",
    "#5B3A8C",
    "#8C5A2B",
    "#1F2A44",
    "#B5BD00",
    "#D55E00",
    "#0072B2",
)
MARKERS = ("v", "P", "X", "h", "<", ">", "p", "^", "d", "8")
# Colors that are too dark for a dark page, and what they are there.
ON_DARK = {
    SOFT: "#a3aebc",
    "#0072B2": "#4fa8e0",
    "#009E73": "#2fc79b",
    "#D55E00": "#f0803c",
    "#5B3A8C": "#ab8de6",
    "#8C5A2B": "#c98f59",
    "#1F2A44": "#9db1dd",
}
PATHS = {
    "o": "M-.9,0A.9,.9,0,1,0,.9,0A.9,.9,0,1,0,-.9,0Z",
    "s": "M-.8,-.8H.8V.8H-.8Z",
    "D": "M0,-1L1,0L0,1L-1,0Z",
    "d": "M0,-1L.6,0L0,1L-.6,0Z",
    "^": "M0,-1L1,.8H-1Z",
    "v": "M0,1L1,-.8H-1Z",
    "<": "M-1,0L.8,-1V1Z",
    ">": "M1,0L-.8,-1V1Z",
    "P": "M-.35,-1H.35V-.35H1V.35H.35V1H-.35V.35H-1V-.35H-.35Z",
    "X": "M0,-.4L.5,-.9L.9,-.5L.4,0L.9,.5L.5,.9L0,.4L-.5,.9L-.9,.5L-.4,0L-.9,-.5L-.5,-.9Z",
    "h": "M0,-1L.87,-.5V.5L0,1L-.87,.5V-.5Z",
    "p": "M0,-1L.95,-.31L.59,.81H-.59L-.95,-.31Z",
    "8": "M-.38,-.92H.38L.92,-.38V.38L.38,.92H-.38L-.92,.38V-.38Z",
}
RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": ZERO_COLOR,
    "axes.linewidth": 0.8,
    "axes.labelcolor": INK,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "grid.color": GRID_COLOR,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "figure.facecolor": "white",
    # Names are data: a dollar sign in one is no formula.
    "text.parse_math": False,
    # The same results must give the same file, byte for byte.
    "svg.hashsalt": "prefrontier",
}


def scale() -> float:
    """Return how large text and marks are: 1 on a page, less in the sizes of papers."""
    from matplotlib import rcParams

    return float(rcParams["font.size"] / RC["font.size"])


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """Return the look of each method, in order of appearance for those not in KNOWN.

    Eight methods in a row differ in color and in marker, and eighty in at least one of them.
    """
    others = [method for method in methods if method not in KNOWN]
    assigned = {method: _assigned(i) for i, method in enumerate(others)}
    return {method: KNOWN.get(method) or assigned[method] for method in methods}


def _assigned(i: int) -> Look:
    """Return the look of the i-th method that is not in KNOWN."""
    cycle = i // len(COLORS)
    return Look(COLORS[i % len(COLORS)], MARKERS[(i + cycle) % len(MARKERS)])


def panels(
    rows: int, columns: int, width: float, height: float, share: bool = False
) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure and its axes, row by row.

    Args:
        rows: Rows of panels.
        columns: Columns of panels.
        width: Of one panel, in inches.
        height: Of one panel, in inches.
        share: Whether the panels of a row share a vertical axis.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows + 0.5), layout="constrained")
    sharey: Literal["row", "none"] = "row" if share else "none"
    grid: list[list[Axes]] = figure.subplots(rows, columns, squeeze=False, sharey=sharey).tolist()
    return figure, grid


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write a figure as PNG and SVG."""
    # Ticks depend on the layout: only a second one has room for those of the first. Layout takes
    # most of the time, so both files share it.
    for _ in range(2):
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for suffix in ("png", "svg"):
        metadata = {"Date": None} if suffix == "svg" else {}
        figure.savefig(folder / f"{name}.{suffix}", format=suffix, dpi=180, metadata=metadata)


def legend(figure: Figure, shown: dict[str, Look], results: Results, extra: list[Any]) -> None:
    """Put one legend below all panels.

    Args:
        figure: The figure, its panels drawn.
        shown: The methods to list, with their looks.
        results: The results that tell which methods are privileged.
        extra: Handles of other entries, listed after the methods.
    """
    handles = keys(shown, results) + extra
    longest = max((len(str(handle.get_label())) for handle in handles), default=0)
    # About as many as fit side by side; widths are in inches.
    fit = int(figure.get_figwidth() / (scale() * max(1.45, 0.4 + 0.07 * longest)))
    rows = max(1, math.ceil(len(handles) / max(1, fit)))
    # Rows as even as they can be.
    columns = max(1, math.ceil(len(handles) / rows))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def fit_legend(figure: Figure) -> None:
    """Give the legend below a figure as many columns as have room side by side."""
    for own in figure.legends:
        labels = [text.get_text() for text in own.get_texts()]
        fit = int(figure.get_figwidth() / (scale() * max(1.2, 0.6 + 0.08 * max(map(len, labels)))))
        handles = [handle for handle in own.legend_handles if handle]
        own.remove()
        place, columns = "outside lower center", max(1, min(fit, len(labels)))
        figure.legend(handles, labels, loc=place, ncols=columns)


def keys(shown: dict[str, Look], results: Results) -> list[Any]:
    """Return the legend's handles for methods."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=look.color, marker=look.marker, lw=1.6, label=results.marked(method))
        for method, look in shown.items()
    ]

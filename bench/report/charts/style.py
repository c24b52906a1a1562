"""How figures look: one color and one marker per method, in every figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from bench.results.loading import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Look(NamedTuple):
    """A method's color and marker."""

    color: str
    marker: str


# Okabe and Ito's palette, which color-blind readers can tell apart; markers for print in gray.
KNOWN = {
    "sft": Look("#5f6b7a", "o"),
    "ppo": Look("#D55E00", "o"),
    "dpo": Look("#0072B2", "s"),
    "ppo_gold": Look("#E69F00", "D"),
    "best_of_n": Look("#009E73", "^"),
}
# The others take the colors that are left first, then two of the known ones, with other markers.
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
BACKGROUND = "#c9ced6"
LIMIT_COLOR = "#1d2733"
SHADE = "#eef0f3"
RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a94a3",
    "axes.linewidth": 0.8,
    "axes.labelcolor": "#1d2733",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.axisbelow": True,
    "text.color": "#1d2733",
    "xtick.color": "#5f6b7a",
    "ytick.color": "#5f6b7a",
    "grid.color": "#dfe3e8",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "figure.facecolor": "white",
    # Names are data: a dollar sign in one is no formula.
    "text.parse_math": False,
    # The same results must give the same file, byte for byte.
    "svg.hashsalt": "prefrontier",
}


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """Return each method's look, in order of appearance for those that have none of their own.

    Eight in a row differ in color and in marker, and eighty at least in one.
    """
    others = [method for method in methods if method not in KNOWN]
    shared = {method: _other(i) for i, method in enumerate(others)}
    return {method: KNOWN.get(method) or shared[method] for method in methods}


def _other(i: int) -> Look:
    turn = i // len(COLORS)
    return Look(COLORS[i % len(COLORS)], MARKERS[(i + turn) % len(MARKERS)])


def panels(
    rows: int, columns: int, width: float, height: float, share: bool = False
) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure and its axes; width and height of one panel in inches.

    share: panels of a row have one vertical axis.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows + 0.5), layout="constrained")
    return figure, _grid(figure, rows, columns, share)


def _grid(figure: Figure, rows: int, columns: int, share: bool) -> list[list[Axes]]:
    sharey: Literal["row", "none"] = "row" if share else "none"
    grid: list[list[Axes]] = figure.subplots(rows, columns, squeeze=False, sharey=sharey).tolist()
    return grid


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write a figure whole, as PNG and SVG."""
    # Laid out once: with many panels that is what takes the time.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for suffix in ("png", "svg"):
        partial = folder / f".{name}.{suffix}.partial"
        metadata = {"Date": None} if suffix == "svg" else {}
        figure.savefig(partial, format=suffix, dpi=180, metadata=metadata)
        partial.replace(folder / f"{name}.{suffix}")


def legend(figure: Figure, shown: dict[str, Look], results: Results, extra: list[Any]) -> None:
    """Put one legend below all panels: the methods, then whatever else needs a key."""
    handles = keys(shown, results) + extra
    longest = max((len(str(handle.get_label())) for handle in handles), default=0)
    # About as many as fit side by side at this width, in inches.
    fit = int(figure.get_figwidth() / max(1.45, 0.4 + 0.07 * longest))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=max(1, min(fit, len(handles))),
    )


def keys(shown: dict[str, Look], results: Results) -> list[Any]:
    """Return a legend's entries for methods."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=look.color, marker=look.marker, lw=1.6, label=results.marked(method))
        for method, look in shown.items()
    ]

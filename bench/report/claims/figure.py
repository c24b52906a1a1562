"""The figure of tested claims: a row for each, with its contrasts on one axis."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bench.analysis.claims.decisions import ClaimVerdict, Decision, Outcome
from bench.analysis.claims.results import ClaimResult
from bench.analysis.statistics import Interval
from bench.config.claim import ClaimContrast
from bench.report.charts.style import GRID_COLOR, INK, SHADE, SOFT, ZERO_COLOR
from bench.report.claims.words import OUTCOMES, VERDICTS
from bench.report.content.display import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

NAME = "claims"
# Inches. The README shows figures about 880 pixels wide.
WIDTH, LINE, GAP = 9.8, 0.165, 0.12
# Above and below the rows.
ABOVE, BELOW = 0.3, 1.0
# Shares of the width where the axis starts and ends; titles are left of it, verdicts right.
LEFT, RIGHT = 0.40, 0.83
TITLE_WIDTH, TITLE_LINES = 46, 2
# The axis is linear up to the bound and logarithmic beyond, so that all effects have room.
TICKS = (-30, -10, -3, -1, 0, 1, 3, 10, 30)
COLORS: dict[Outcome, str] = {"holds": "#0b7a4b", "refuted": "#b3261e", "not decided": SOFT}
MARKERS: dict[Outcome, str] = {"holds": "o", "refuted": "X", "not decided": "D"}
VERDICT_COLORS: dict[ClaimVerdict, str] = {
    "holds here": COLORS["holds"],
    "holds in part": "#8a5300",
    "does not hold here": COLORS["refuted"],
    "not decided": SOFT,
}
X_LABEL = (
    "effect / smallest effect that matters\n"
    "shaded: smaller, which is as claimed where a claim is of no loss or no difference"
)


class Row(NamedTuple):
    """A claim's place in the figure.

    Attributes:
        result: The claim.
        title: Its lines.
        top: Where it starts, in inches from the top.
        height: In inches.
    """

    result: ClaimResult
    title: list[str]
    top: float
    height: float


def claims_figure(claims: Sequence[ClaimResult]) -> Figure:
    """Draw each contrast's mean and 95% interval in units of its bound.

    To the right is what the paper predicts: see `in_bounds`.

    Args:
        claims: At least one.
    """
    from matplotlib.figure import Figure

    rows = figure_rows(claims)
    height = rows[-1].top + rows[-1].height
    whole = ABOVE + height + BELOW
    figure = Figure(figsize=(WIDTH, whole))
    ax = figure.add_axes((LEFT, BELOW / whole, RIGHT - LEFT, height / whole))
    ax.set(ylim=(height, 0), yticks=[])
    ax.spines["left"].set_visible(False)
    _set_axis(ax, claims)
    for row in rows:
        _draw(ax, row)
    figure.legend(handles=_handles(), loc="lower center", ncols=len(OUTCOMES), fontsize=9)
    return figure


def figure_rows(claims: Sequence[ClaimResult]) -> list[Row]:
    """Return the claims in the order of their verdicts, each as high as its title or contrasts."""
    rows: list[Row] = []
    top = 0.0
    for result in sorted(claims, key=lambda result: VERDICTS.index(result.verdict)):
        title = title_lines(result.tested.claim.title)
        height = max(len(title), len(result.decisions)) * LINE + GAP
        rows.append(Row(result, title, top, height))
        top += height
    return rows


def title_lines(title: str) -> list[str]:
    """Return a title in a few short lines, cut where it is too long."""
    return textwrap.wrap(visible(title), TITLE_WIDTH, max_lines=TITLE_LINES, placeholder=" …") or [
        "…"
    ]


def in_bounds(contrast: ClaimContrast, decision: Decision) -> Interval:
    """Return a contrast's interval in units of its bound, positive where the paper predicts it.

    Where it predicts no difference, a mean is negative whichever side it is on.
    """
    mean = decision.evidence.mean
    low, middle, high = (value / contrast.bound for value in (mean.low, mean.mean, mean.high))
    lower = contrast.predicted in ("lower", "not higher")
    if lower or (contrast.predicted == "equal" and middle > 0):
        return Interval(-middle, -high, -low, mean.n)
    return Interval(middle, low, high, mean.n)


def _set_axis(ax: Axes, claims: Sequence[ClaimResult]) -> None:
    ends = [
        abs(end)
        for result in claims
        for contrast, decision in zip(result.tested.claim.contrasts, result.decisions, strict=True)
        for end in in_bounds(contrast, decision)[:3]
        if math.isfinite(end)
    ]
    limit = 1.15 * max([2.0, *ends])
    ax.set_xscale("symlog", linthresh=1, linscale=0.8)
    ax.set_xlim(-limit, limit)
    ticks = [tick for tick in TICKS if abs(tick) <= limit]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.axvspan(-1, 1, color=SHADE, lw=0, zorder=0)
    ax.axvline(0, color=ZERO_COLOR, lw=0.8, zorder=1)
    ax.set_xlabel(X_LABEL)
    for x, side, text in ((0.0, "left", "← against the claim"), (1.0, "right", "as claimed →")):
        ax.text(x, 1.0, text, transform=ax.transAxes, ha=side, va="bottom", fontsize=9, color=SOFT)


def _draw(ax: Axes, row: Row) -> None:
    """Draw a claim: its title, an interval for each contrast, its verdict."""
    middle = row.top + row.height / 2
    if row.top:
        ax.axhline(row.top, xmin=-1, xmax=2, color=GRID_COLOR, lw=0.7, zorder=0.5, clip_on=False)
    across = ax.get_yaxis_transform()
    start, end = -LEFT / (RIGHT - LEFT) + 0.02, 1.03
    ax.text(start, middle, "\n".join(row.title), transform=across, va="center", color=INK)
    verdict = row.result.verdict
    color = VERDICT_COLORS[verdict]
    ax.text(end, middle, verdict, transform=across, va="center", color=color, fontweight="bold")
    contrasts = list(zip(row.result.tested.claim.contrasts, row.result.decisions, strict=True))
    first = middle - LINE * (len(contrasts) - 1) / 2
    for number, (contrast, decision) in enumerate(contrasts):
        mean, y = in_bounds(contrast, decision), first + LINE * number
        if not math.isfinite(mean.mean):
            continue
        color = COLORS[decision.outcome]
        if math.isfinite(mean.half_width):
            ax.plot([mean.low, mean.high], [y, y], color=color, lw=1.8, solid_capstyle="butt")
        ax.plot(mean.mean, y, MARKERS[decision.outcome], color=color, ms=6, mec="white", mew=0.6)


def _handles() -> list[Line2D]:
    """Return the legend's entries, one for each outcome of a contrast."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=COLORS[outcome], marker=MARKERS[outcome], lw=1.8, ms=6, label=text)
        for outcome, text in OUTCOMES.items()
    ]

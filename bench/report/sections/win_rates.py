"""Win rates of every method against every other, at equal length, and as strengths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench.analysis.head_to_head import head_to_head_of, strengths, win_rates
from bench.report.charts.facets import FEW
from bench.report.charts.style import panels
from bench.report.content.display import bracketed, number, percent
from bench.report.content.failures import failed_rows
from bench.report.content.section import Chart, Column, Part, Section, Table
from bench.results.loading import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INTRODUCTION = (
    "How often the response of the method in the row has more reward than that of the method in "
    "the column to the same test prompt; ties count half."
)
LENGTH_HELP = (
    "To expect if responses were as long as the opponent's: from a logistic model of the prompts' "
    "win rates with a term for the difference in mean tokens, as in AlpacaEval. Left out where "
    "almost no response is shorter, or almost none is longer."
)
STRENGTH_HELP = (
    "Bradley-Terry strength, with mean 0 over methods: a difference of 1 is a win rate of 73%. "
    "With its 95% bootstrap interval over seeds and prompts, too narrow with few seeds."
)
COLUMNS = (
    Column("method", "method", "text"),
    Column("opponent", "against", "text"),
    Column("rate", "win rate"),
    Column("error", "standard error", help="Clustered by seed and by prompt."),
    Column("length_controlled", "length-controlled", help=LENGTH_HELP),
    Column("tokens", "tokens"),
    Column("opponent_tokens", "opponent's tokens"),
)
STRENGTH_COLUMNS = (
    Column("method", "method", "text"),
    Column("strength", "strength (log-odds)", help=STRENGTH_HELP),
)
# Cells this far from even are dark enough for white numbers.
DARK = 0.3


def win_rates_section(results: Results) -> Section | None:
    """Return the section; None where nothing was compared prompt by prompt."""
    figure = _figure(results)
    if figure is None:
        return None
    alt = "Win rates of every method against every other"
    rates = [
        Part(results.task_title(t), task=t, tables=(win_rate_table(results, t),))
        for t in results.tasks
    ]
    scales = [part for part in (_strength_part(results, task) for task in results.tasks) if part]
    return Section(
        "win-rates",
        "Win rates",
        INTRODUCTION,
        charts=(Chart("win_rates", alt, figure),),
        parts=(*rates, *scales),
    )


def win_rate_table(results: Results, task: str) -> Table:
    """Return the win rates of the comparisons that may have a verdict and against SFT."""
    rows = [
        {
            "method": results.marked(rate.method),
            "opponent": results.marked(rate.opponent),
            "rate": percent(rate.rate, 1),
            "error": percent(rate.error, 1),
            "length_controlled": percent(rate.length_controlled, 1),
            "tokens": number(rate.tokens, 1),
            "opponent_tokens": number(rate.opponent_tokens, 1),
        }
        for rate in win_rates(results, task)
    ]
    return Table.of(COLUMNS, [*rows, *failed_rows(results, task, COLUMNS)] if rows else [])


def _strength_part(results: Results, task: str) -> Part:
    """Return a task's strengths and how well they fit; empty with fewer than three methods."""
    fitted = strengths(results, task)
    if fitted is None:
        return Part()
    rows = [
        {
            "method": results.marked(method),
            "strength": bracketed(s),
        }
        for method, s in fitted.intervals.items()
    ]
    return Part(
        f"{results.task_title(task)}: on one scale",
        task=task,
        paragraphs=(
            "These strengths reproduce every win rate to within "
            f"{100 * fitted.largest_error:.1f} percentage points.",
        ),
        tables=(Table.of(STRENGTH_COLUMNS, rows),),
    )


def _figure(results: Results) -> Figure | None:
    """Draw how often the method in the row beats the one in the column, mean over seeds."""
    tasks = [task for task in results.tasks if not head_to_head_of(results, task).empty]
    if not tasks:
        return None
    many = len(results.methods) > FEW
    size = max(4.4, (0.4 if many else 0.85) * len(results.methods) + 1.6)
    # Side by side while the numbers stay readable at the width of a page.
    rows, columns = (len(tasks), 1) if many else (1, len(tasks))
    figure, axes = panels(rows, columns, size, (0.94 if many else 0.84) * size)
    for ax, task in zip((ax for line in axes for ax in line), tasks, strict=True):
        rates = head_to_head_of(results, task).pivot_table(
            index="method", columns="opponent", values="win_rate"
        )
        order = [m for m in results.methods if m in rates.index or m in rates.columns]
        if many:
            # The method that wins most on top, so that a pattern shows.
            wins = rates.mean(axis=1)
            order.sort(key=lambda method: -wins.get(method, np.nan))
        _draw_matrix(ax, rates.reindex(index=order, columns=order), order, many)
        ax.set(title=results.task_title(task), xlabel="against", ylabel="wins")
    return figure


def _draw_matrix(ax: Axes, rates: pd.DataFrame, names: list[str], many: bool) -> None:
    """Draw one task's rates; seaborn's heatmap would draw the whole figure for every panel."""
    import seaborn

    values = rates.to_numpy(dtype=float)
    ax.pcolormesh(
        np.ma.masked_invalid(values),
        cmap=seaborn.diverging_palette(30, 245, s=80, l=52, as_cmap=True),
        vmin=0,
        vmax=1,
        edgecolors="white",
        lw=1 if many else 2,
    )
    for i, j in np.argwhere(np.isfinite(values)):
        rate = float(values[i, j])
        ax.text(
            j + 0.5,
            i + 0.5,
            f"{100 * rate:.0f}" if many else f"{rate:.0%}",
            ha="center",
            va="center",
            fontsize=8 if many else 10,
            color="white" if abs(rate - 0.5) > DARK else "#262626",
        )
    places = np.arange(len(names)) + 0.5
    ax.set_xticks(places, names, rotation=45 if many else 30, ha="right", rotation_mode="anchor")
    ax.set_yticks(places, names)
    ax.set(aspect="equal", ylim=(len(names), 0))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)

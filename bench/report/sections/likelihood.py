"""How the log-probability of the feedback's responses changed, at the end and on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from bench.analysis.averages import mean_curve
from bench.analysis.selection import of_selected, selected_rows, table_order
from bench.report.charts.facets import Panel, facet_panels
from bench.report.charts.style import INK, ZERO_COLOR, looks
from bench.report.content.display import metric_label, number
from bench.report.content.failures import failed_rows
from bench.report.content.section import Chart, Column, Part, Section, Table
from bench.results.loading import Results
from bench.results.metrics import METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHOSEN, REJECTED = (m for m in METRICS if m.name in ("chosen_logp_change", "rejected_logp_change"))
SIDES = [CHOSEN.name, REJECTED.name]
LINES = {CHOSEN.name: ("chosen", "-"), REJECTED.name: ("rejected", "--")}
INTRODUCTION = (
    "Change of the mean log-probability (nats) of held-out chosen and rejected responses, from the "
    "SFT policy to the trained one; the chart shows it during training, at the selected settings. "
    "A pairwise loss only widens the margin: it can lower the chosen responses too, as long as the "
    "rejected ones fall further. The probability then goes to responses that nobody has labeled."
)
COLUMNS = (
    Column("method", "method", "text"),
    Column(CHOSEN.name, metric_label(CHOSEN), help=CHOSEN.help),
    Column(REJECTED.name, metric_label(REJECTED), help=REJECTED.help),
    Column("margin", "margin (nats)", help="The first change less the second."),
)


def likelihood_section(results: Results) -> Section | None:
    """Return the section; None where no task has chosen and rejected responses."""
    parts = [
        Part(results.task_title(task), task=task, tables=(table,))
        for task in results.tasks
        if (table := likelihood_table(results, task))
    ]
    figure = likelihood_figure(results)
    alt = "Change of chosen and rejected log-probability during training"
    charts = (Chart("likelihood", alt, figure),) if figure else ()
    title = "Likelihood of the feedback"
    return Section("likelihood", title, INTRODUCTION, charts, tuple(parts))


def likelihood_table(results: Results, task: str) -> Table:
    """Return the changes of the selected settings, means over seeds."""
    means = selected_rows(results.runs, task).groupby("method", sort=False)[SIDES].mean().dropna()
    changes = means.to_dict("index")
    lines = [
        {
            "method": results.marked(method),
            **{side: number(changes[method][side]) for side in SIDES},
            "margin": number(changes[method][CHOSEN.name] - changes[method][REJECTED.name]),
        }
        for method in table_order(results, task)
        if method in changes
    ]
    return Table.of(COLUMNS, [*lines, *failed_rows(results, task, COLUMNS)] if lines else [])


def likelihood_figure(results: Results) -> Figure | None:
    """Draw the changes of the selected settings against the share of training done."""
    from matplotlib.lines import Line2D

    points = {task: _checkpoints(results, task) for task in results.tasks}
    tasks = [task for task, changes in points.items() if not changes.empty]
    if not tasks:
        return None
    known = {method for changes in points.values() for method in changes["method"]}
    shown = [method for method in results.methods if method in known]
    sides = [Line2D([], [], color=INK, ls=style, label=label) for label, style in LINES.values()]
    figure, panels = facet_panels(results, tasks, shown, (5.6, 3.6), sides)
    for panel in panels:
        _draw(panel, points[panel.task], results)
    return figure


def _draw(panel: Panel, points: pd.DataFrame, results: Results) -> None:
    """Draw a task's mean curves, with the end of each seed."""
    ax = panel.ax
    ax.axhline(0, color=ZERO_COLOR, lw=0.8)
    for method in panel.facet.methods:
        changes = points[points["method"] == method]
        if changes.empty:
            continue
        look = looks(results.methods)[method]
        ends = changes[changes["done"] == 1.0]
        for side, (_, style) in LINES.items():
            ax.plot(*mean_curve(changes, "done", side), color=look.color, ls=style, lw=1.8)
            ax.plot(ends["done"], ends[side], ".", color=look.color, ms=4, alpha=0.5)
            ax.plot(1.0, ends[side].mean(), look.marker, color=look.color, ms=5.5)
    ax.set(xlabel="share of training", ylabel="change of log-probability (nats)")
    ax.grid(True)


def _checkpoints(results: Results, task: str) -> pd.DataFrame:
    """Return the selected settings' checkpoints, each training starting at no change."""
    checkpoints = of_selected(results.checkpoints, results.runs, task).dropna(subset=SIDES)
    last = checkpoints.groupby(["method", "seed"])["step"].transform("max")
    checkpoints = checkpoints.assign(done=checkpoints["step"] / last)
    start = checkpoints.drop_duplicates(["method", "seed"])
    return pd.concat([start.assign(done=0.0, **dict.fromkeys(SIDES, 0.0)), checkpoints])

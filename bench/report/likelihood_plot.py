"""Likelihood displacement: chosen and rejected log-probability over the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from bench.analysis.averages import mean_curve
from bench.report.charts.facets import facet_panels
from bench.results.loading import Results
from bench.analysis.selection import of_selected
from bench.report.charts.style import looks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDES = {"chosen_logp_change": ("chosen", "-"), "rejected_logp_change": ("rejected", "--")}


def likelihood(results: Results) -> Figure | None:
    """Selected settings, mean over seeds, against the share of the training that was done."""
    from matplotlib.lines import Line2D

    points = {task: _points(results, task) for task in results.tasks}
    tasks = [task for task, own in points.items() if not own.empty]
    if not tasks:
        return None
    known = {m for own in points.values() for m in own["method"]}
    shown = [method for method in results.methods if method in known]
    sides = [
        Line2D([], [], color="#1d2733", ls=style, label=name) for name, style in SIDES.values()
    ]
    figure, found = facet_panels(results, tasks, shown, (5.6, 3.6), sides)
    for ax, task, facet in found:
        ax.axhline(0, color="#8a94a3", lw=0.8)
        for method in facet.methods:
            own = points[task][points[task]["method"] == method]
            if own.empty:
                continue
            look = looks(results.methods)[method]
            ends = own[own["done"] == 1.0]
            for column, (_, style) in SIDES.items():
                ax.plot(*mean_curve(own, "done", column), color=look.color, ls=style, lw=1.8)
                ax.plot(ends["done"], ends[column], ".", color=look.color, ms=4, alpha=0.5)
                ax.plot(1.0, ends[column].mean(), look.marker, color=look.color, ms=5.5)
        ax.set(xlabel="share of the training", ylabel="change of log-probability (nats)")
        ax.grid(True)
    return figure


def _points(results: Results, task: str) -> pd.DataFrame:
    """Return the selected settings' checkpoints, a start at no change put before each."""
    own = of_selected(results.checkpoints, results.runs, task).dropna(subset=list(SIDES))
    last = own.groupby(["method", "seed"])["step"].transform("max")
    own = own.assign(done=own["step"] / last)
    start = own.drop_duplicates(["method", "seed"]).assign(done=0.0, **dict.fromkeys(SIDES, 0.0))
    return pd.concat([start, own])

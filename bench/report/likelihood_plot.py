"""Likelihood displacement: chosen and rejected log-probability over the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from bench.report.averages import mean_curve
from bench.report.results import Results
from bench.report.selection import of_selected
from bench.report.style import legend, looks, panels

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
    figure, axes = panels(1, len(tasks), 5.6, 3.6)
    for ax, task in zip(axes[0], tasks, strict=True):
        ax.axhline(0, color="#8a94a3", lw=0.8)
        for method, own in points[task].groupby("method", sort=False):
            look = looks(results.methods)[str(method)]
            for column, (_, style) in SIDES.items():
                ax.plot(*mean_curve(own, "done", column), color=look.color, ls=style, lw=1.8)
                ends = own[own["done"] == 1.0]
                ax.plot(ends["done"], ends[column], ".", color=look.color, ms=4, alpha=0.5)
        ax.set(title=results.task_title(task), xlabel="share of the training")
        ax.set(ylabel="change of log-probability (nats)")
        ax.grid(True)
    shown = {m for own in points.values() for m in own["method"]}
    keys = [Line2D([], [], color="#1d2733", ls=style, label=name) for name, style in SIDES.values()]
    own_looks = {m: look for m, look in looks(results.methods).items() if m in shown}
    legend(figure, own_looks, results, keys)
    return figure


def _points(results: Results, task: str) -> pd.DataFrame:
    """Return the selected settings' checkpoints, a start at no change put before each."""
    own = of_selected(results.checkpoints, results.runs, task).dropna(subset=list(SIDES))
    last = own.groupby(["method", "seed"])["step"].transform("max")
    own = own.assign(done=own["step"] / last)
    start = own.drop_duplicates(["method", "seed"]).assign(done=0.0, **dict.fromkeys(SIDES, 0.0))
    return pd.concat([start, own])

"""Training curves: the methods' own numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from bench.analysis.averages import mean_curve, seed_curves
from bench.analysis.selection import of_selected
from bench.report.charts.facets import FEW
from bench.report.charts.style import Look, legend, looks, panels
from bench.report.content.section import Chart, Section
from bench.results.loading import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INTRODUCTION = (
    "Training curves of the selected settings: the mean over seeds, each seed thin. These are the "
    "methods' own numbers, never results; different kinds of reward are not on one scale."
)
LABELS = {"reward": "reward it trains on", "kl": "KL (nats)", "loss": "loss"}


def curves_section(results: Results) -> Section | None:
    """Return the section; None where no training logged a curve."""
    figure = curves_figure(results)
    if figure is None:
        return None
    chart = Chart("curves", "Training curves of the selected settings", figure)
    return Section("curves", "Training curves", INTRODUCTION, (chart,))


def curves_figure(results: Results) -> Figure | None:
    """Draw reward and KL of methods that log a reward, the loss of the others."""
    curves = [selected_curves(results, task) for task in results.tasks]
    points = pd.concat(curves) if curves else results.curves.iloc[:0]
    if points.empty:
        return None
    metrics = [metric for metric in LABELS if (points["metric"] == metric).any()]
    tasks = [task for task in results.tasks if (points["task"] == task).any()]
    figure, axes = panels(len(tasks), len(metrics), 4.4, 3.0)
    for task, row in zip(tasks, axes, strict=True):
        for ax, metric in zip(row, metrics, strict=True):
            panel = points[(points["task"] == task) & (points["metric"] == metric)]
            _draw(ax, panel, results)
            ax.set(title=results.task_title(task), ylabel=LABELS[metric])
    logged = set(points["method"])
    shown = {method: look for method, look in looks(results.methods).items() if method in logged}
    legend(figure, shown, results, [])
    return figure


def selected_curves(results: Results, task: str) -> pd.DataFrame:
    """Return the points to draw of the selected settings: reward and KL, or else the loss."""
    points = of_selected(results.curves, results.runs, task).dropna(subset=["step", "value"])
    with_reward = set(points.loc[points["metric"] == "reward", "method"])
    shown = (
        points["metric"]
        .isin(["reward", "kl"])
        .where(points["method"].isin(with_reward), points["metric"] == "loss")
    )
    return points[shown.astype(bool)]


def _draw(ax: Axes, panel: pd.DataFrame, results: Results) -> None:
    """Draw a metric's curves; of many methods, only their means."""
    each_seed = panel["method"].nunique() <= FEW
    for method, points in panel.groupby("method", sort=False):
        _draw_method(ax, points, looks(results.methods)[str(method)], each_seed)
    ax.set_xlabel("examples or episodes")
    ax.grid(True)


def _draw_method(ax: Axes, points: pd.DataFrame, look: Look, each_seed: bool) -> None:
    for seed in seed_curves(points, "step", "value") if each_seed else []:
        ax.plot(seed["step"], seed["value"], color=look.color, lw=0.7, alpha=0.3)
    xs, ys = mean_curve(points, "step", "value")
    ax.plot(xs, ys, color=look.color, lw=2 if each_seed else 1.2)
    ax.plot(xs[-1:], ys[-1:], color=look.color, marker=look.marker, ms=5.5)

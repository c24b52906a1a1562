"""The report's figures, on matplotlib's figure objects: no pyplot, so no global state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from bench.analysis.averages import mean_curve, seed_curves
from bench.report.cost_plots import cost, effort
from bench.report.charts.facets import FEW
from bench.report.frontier_plot import frontier
from bench.report.likelihood_plot import likelihood
from bench.report.overoptimization_plot import overoptimization
from bench.report.ranking_plot import ranking
from bench.report.regret_plot import regret
from bench.results.loading import Results
from bench.analysis.selection import of_selected
from bench.report.charts.style import RC, Look, legend, looks, panels, save
from bench.report.win_rates_plot import win_rates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def write_figures(results: Results, folder: Path) -> list[str]:
    """Write every figure that there is something to draw of, as PNG and SVG; return their names."""
    from matplotlib import rc_context

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in FIGURES.items():
        with rc_context(RC):
            figure = draw(results)
            if figure is not None:
                save(figure, folder, name)
                written.append(name)
                continue
        # A figure of earlier results must not pass for one of these.
        for suffix in ("png", "svg"):
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    return written


def curves(results: Results) -> Figure | None:
    """Training curves of the selected settings: reward and KL where logged, else the loss."""
    kept = [_curve_points(results, task) for task in results.tasks]
    points = pd.concat(kept) if kept else results.curves.iloc[:0]
    if points.empty:
        return None
    metrics = [m for m in ("reward", "kl", "loss") if (points["metric"] == m).any()]
    tasks = [task for task in results.tasks if (points["task"] == task).any()]
    figure, axes = panels(len(tasks), len(metrics), 4.4, 3.0)
    words = {"reward": "reward it trains on", "kl": "KL (nats)", "loss": "loss"}
    for task, line in zip(tasks, axes, strict=True):
        for ax, metric in zip(line, metrics, strict=True):
            own = points[(points["task"] == task) & (points["metric"] == metric)]
            for method, frame in own.groupby("method", sort=False):
                few = own["method"].nunique() <= FEW
                _curve(ax, frame, looks(results.methods)[str(method)], each_seed=few)
            ax.set(title=results.task_title(task), xlabel="examples or episodes")
            ax.set(ylabel=words[metric])
            ax.grid(True)
    logged = set(points["method"])
    shown = {m: look for m, look in looks(results.methods).items() if m in logged}
    legend(figure, shown, results, [])
    return figure


def _curve_points(results: Results, task: str) -> pd.DataFrame:
    own = of_selected(results.curves, results.runs, task).dropna(subset=["step", "value"])
    online = set(own.loc[own["metric"] == "reward", "method"])
    wanted = (
        own["metric"]
        .isin(["reward", "kl"])
        .where(own["method"].isin(online), own["metric"] == "loss")
    )
    return own[wanted.astype(bool)]


def _curve(ax: Axes, frame: pd.DataFrame, look: Look, each_seed: bool) -> None:
    for own in seed_curves(frame, "step", "value") if each_seed else []:
        ax.plot(own["step"], own["value"], color=look.color, lw=0.7, alpha=0.3)
    xs, ys = mean_curve(frame, "step", "value")
    ax.plot(xs, ys, color=look.color, lw=2 if each_seed else 1.2)
    ax.plot(xs[-1:], ys[-1:], color=look.color, marker=look.marker, ms=5.5)


FIGURES: dict[str, Callable[[Results], Figure | None]] = {
    "ranking": ranking,
    "frontier": frontier,
    "regret": regret,
    "overoptimization": overoptimization,
    "win_rates": win_rates,
    "cost": cost,
    "likelihood": likelihood,
    "effort": effort,
    "curves": curves,
}

"""The report's figures, on matplotlib's figure objects: no pyplot, so no global state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from bench.report.averages import mean_curve, seed_curves
from bench.report.cost_plots import cost, effort
from bench.report.frontier_plot import frontier
from bench.report.likelihood_plot import likelihood
from bench.report.overoptimization_plot import overoptimization
from bench.report.regret_plot import regret
from bench.report.results import Results
from bench.report.selection import of_selected
from bench.report.style import RC, Look, legend, looks, panels, save

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


def win_rates(results: Results) -> Figure | None:
    """How often the method in the row beats the one in the column, mean over seeds."""
    import seaborn

    duels = results.head_to_head.dropna(subset=["win_rate"])
    tasks = [task for task in results.tasks if (duels["task"] == task).any()]
    if not tasks:
        return None
    size = max(4.4, 0.85 * len(results.methods) + 1.6)
    figure, axes = panels(1, len(tasks), size, 0.84 * size)
    for ax, task in zip(axes[0], tasks, strict=True):
        table = duels[duels["task"] == task].pivot_table(
            index="method", columns="opponent", values="win_rate"
        )
        order = [m for m in results.methods if m in table.index or m in table.columns]
        table = table.reindex(index=order, columns=order)
        names = [results.label(method) for method in order]
        seaborn.heatmap(
            table.set_axis(names, axis=0).set_axis(names, axis=1),
            ax=ax,
            cmap=seaborn.diverging_palette(30, 245, s=80, l=52, as_cmap=True),
            vmin=0,
            vmax=1,
            annot=True,
            fmt=".0%",
            cbar=False,
            linewidths=2,
            linecolor="white",
            square=True,
        )
        ax.set(title=results.task_title(task), xlabel="against", ylabel="wins")
        ax.tick_params(length=0)
        ax.tick_params(axis="x", rotation=30)
        ax.tick_params(axis="y", rotation=0)
    return figure


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
                _curve(ax, frame, looks(results.methods)[str(method)])
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


def _curve(ax: Axes, frame: pd.DataFrame, look: Look) -> None:
    for own in seed_curves(frame, "step", "value"):
        ax.plot(own["step"], own["value"], color=look.color, lw=0.7, alpha=0.3)
    xs, ys = mean_curve(frame, "step", "value")
    ax.plot(xs, ys, color=look.color, lw=2)


FIGURES: dict[str, Callable[[Results], Figure | None]] = {
    "frontier": frontier,
    "regret": regret,
    "overoptimization": overoptimization,
    "win_rates": win_rates,
    "cost": cost,
    "likelihood": likelihood,
    "effort": effort,
    "curves": curves,
}

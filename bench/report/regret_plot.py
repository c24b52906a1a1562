"""Where each method's gap to the optimum comes from, as one stacked bar per method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from bench.report.display import setting
from bench.report.charts.facets import FEW
from bench.results.loading import Results
from bench.analysis.selection import of_selected, select_settings
from bench.report.charts.style import panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Dark to light, so that they differ in gray too.
PARTS = {
    "optimization_error": ("the optimizer", "#1f4e79"),
    "reward_model_error": ("the learned reward", "#d9822b"),
    "interaction": ("where the two meet", "#c9ced6"),
}


def selected_regrets(results: Results, task: str) -> pd.DataFrame:
    """Return the mean parts of the selected settings' regret, a row for each method."""
    own = of_selected(results.objective, results.runs, task).dropna(subset=list(PARTS))
    return own.groupby("method", sort=False)[list(PARTS)].mean()


def regret(results: Results) -> Figure | None:
    """Regret at the selected strength, split; parts below 0 are drawn to the left."""
    from matplotlib.patches import Patch

    tasks = [task for task in results.tasks if not selected_regrets(results, task).empty]
    if not tasks:
        return None
    most = max(len(selected_regrets(results, task)) for task in tasks)
    figure, axes = panels(1, len(tasks), 5.6, (0.55 if most <= FEW else 0.3) * most + 1.55)
    for ax, task in zip(axes[0], tasks, strict=True):
        _bars(ax, results, task, most)
    figure.legend(
        handles=[Patch(color=color, label=words) for words, color in PARTS.values()],
        loc="outside lower center",
        ncols=len(PARTS),
    )
    return figure


def _bars(ax: Axes, results: Results, task: str, most: int) -> None:
    parts = selected_regrets(results, task)
    chosen = select_settings(results.runs, task)
    # Many bars are thin: their names have one line.
    between = "\n" if most <= FEW else ", "
    names = [f"{m}{between}{setting(chosen[str(m)])}" for m in parts.index]
    ends = {True: [0.0] * len(parts), False: [0.0] * len(parts)}
    for column, (_, color) in PARTS.items():
        for i, value in enumerate(parts[column]):
            side = value >= 0
            ax.barh(i, value, left=ends[side][i], color=color, height=0.62)
            ends[side][i] += value
    for i, total in enumerate(parts.sum(axis=1)):
        ax.annotate(
            f"{total:.2f}",
            (ends[True][i], i),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontweight="bold",
        )
    ax.axvline(0, color="#8a94a3", lw=0.8)
    ax.set(title=results.task_title(task), xlabel="regret: J of the optimum - J of the policy")
    ax.set_yticks(range(len(names)), names)
    # Bars as thick in every panel, first method on top.
    ax.set_ylim(most - 0.5, -0.5)
    ax.margins(x=0.12)
    ax.grid(True, axis="x")

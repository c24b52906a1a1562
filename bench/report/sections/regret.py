"""Regret against the best objective at a KL strength, split by where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from bench.analysis.regret import PARTS, regrets, selected_regrets
from bench.analysis.selection import select_settings
from bench.report.charts.facets import FEW
from bench.report.charts.style import ZERO_COLOR, panels
from bench.report.content.display import number, percent, setting
from bench.report.content.section import Chart, Column, Part, Section, Table
from bench.results.loading import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INTRODUCTION = (
    "A method with a KL strength maximizes J = E[reward] - strength · KL. Its regret is the best J "
    "at that strength minus the J of its policy, both with the gold reward. It is the sum of three "
    "parts. The optimization error is how far the policy is from the optimum of the reward model. "
    "The reward-model error is how far that optimum is from the optimum of the gold reward. The "
    "interaction is what the two errors add to each other: it is negative where stopping short "
    "saves the policy from errors of the reward model. DPO trains no reward model; the shared one "
    "stands in for what its pairs imply."
)
SHARE_NOTE = (
    "The share of the optimum is (J - J of SFT) / (best J - J of SFT): 100% is the best possible "
    "policy, and below 0% is worse than not training. Regret is exact where every response is "
    "enumerated. Elsewhere it is estimated from samples of the SFT policy, and left out where an "
    "optimum is too far from it for that."
)
LABELS = {name: name.replace("_", " ").replace("reward model", "reward-model") for name in PARTS}
# Dark to light, so that they differ in print without color too.
COLORS = ("#1f4e79", "#d9822b", "#c9ced6")
COLUMNS = (
    Column("method", "method", "text"),
    Column("strength", "KL strength"),
    Column("share", "share of the optimum"),
    Column("worst_share", "worst seed", help="Share of the optimum of the worst seed."),
    Column("regret", "regret"),
    *(Column(name, label) for name, label in LABELS.items()),
    Column("seeds", "seeds"),
)


def regret_section(results: Results) -> Section | None:
    """Return the section; None where no regret is known."""
    parts = [
        Part(results.task_title(t), task=t, tables=(regret_table(results, t),))
        for t in results.tasks
    ]
    if not any(parts):
        return None
    figure = _figure(results)
    charts = (Chart("regret", "Regret of every method by its parts", figure),) if figure else ()
    return Section("regret", "Regret", INTRODUCTION, charts, tuple(parts), (SHARE_NOTE,))


def regret_table(results: Results, task: str) -> Table:
    """Return the regret of each method and KL strength."""
    rows = [
        {
            "method": results.marked(regret.method),
            "strength": f"{regret.strength:g}",
            "share": percent(regret.share),
            "worst_share": percent(regret.worst_share),
            "regret": number(regret.regret),
            **{name: number(value) for name, value in regret.parts.items()},
            "seeds": str(regret.seeds),
        }
        for regret in regrets(results, task)
    ]
    return Table.of(COLUMNS, rows)


def _figure(results: Results) -> Figure | None:
    """Draw a stacked bar for each method at its selected strength; parts below 0 to the left."""
    from matplotlib.patches import Patch

    known = {task: selected_regrets(results, task) for task in results.tasks}
    known = {task: parts for task, parts in known.items() if not parts.empty}
    if not known:
        return None
    most = max(map(len, known.values()))
    figure, axes = panels(1, len(known), 5.6, (0.55 if most <= FEW else 0.3) * most + 1.55)
    for ax, (task, parts) in zip(axes[0], known.items(), strict=True):
        _draw_bars(ax, parts, _names(results, task, parts, most))
        # Bars are as thick in every panel, the first method on top.
        ax.set(title=results.task_title(task), ylim=(most - 0.5, -0.5))
    handles = [
        Patch(color=color, label=label)
        for label, color in zip(LABELS.values(), COLORS, strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _names(results: Results, task: str, parts: pd.DataFrame, most: int) -> list[str]:
    """Return each bar's name and setting, in one line where there are many bars."""
    settings, between = select_settings(results.runs, task), "\n" if most <= FEW else ", "
    return [f"{method}{between}{setting(settings[str(method)])}" for method in parts.index]


def _draw_bars(ax: Axes, parts: pd.DataFrame, names: list[str]) -> None:
    left, right = [0.0] * len(parts), [0.0] * len(parts)
    for name, color in zip(PARTS, COLORS, strict=True):
        for i, value in enumerate(parts[name]):
            ends = right if value >= 0 else left
            ax.barh(i, value, left=ends[i], color=color, height=0.62)
            ends[i] += value
    for i, total in enumerate(parts.sum(axis=1)):
        ax.annotate(
            f"{total:.2f}",
            (right[i], i),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontweight="bold",
        )
    ax.axvline(0, color=ZERO_COLOR, lw=0.8)
    ax.set_xlabel("regret: J of the optimum - J of the policy")
    ax.set_yticks(range(len(names)), names)
    ax.margins(x=0.12)
    ax.grid(True, axis="x")

"""Regret against the best objective at a KL strength, split by where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from bench.analysis.regret import PARTS, StrengthRegret, regrets, selected_regrets
from bench.analysis.selection import select_settings
from bench.report.charts.facets import FEW
from bench.report.charts.style import ZERO_COLOR, panels
from bench.report.content.display import count, number, parameter, percent, setting
from bench.report.content.section import Chart, Column, Part, Section, Table
from bench.results.loading import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INTRODUCTION = (
    "How far each policy is from the best reward - KL strength x KL that is possible at its KL "
    "strength, and which error that comes from. Estimated from samples of the SFT policy where "
    "responses cannot be enumerated."
)
LABELS = {name: name.replace("_", " ").replace("reward model", "reward-model") for name in PARTS}
# Dark to light, so that they differ in print without color too.
COLORS = ("#1f4e79", "#d9822b", "#c9ced6")
HELP = {
    "optimization_error": "How far the policy is from the optimum of the reward model. DPO trains "
    "none: the shared one stands in for what its labels imply.",
    "reward_model_error": "How far the reward model's optimum is from that of the gold reward.",
    "interaction": "What the two errors add to each other: below 0 where stopping short saves the "
    "policy from errors of the reward model.",
}
COLUMNS = (
    Column("method", "method", "text"),
    Column("strength", "KL strength"),
    Column(
        "share",
        "share of the best J",
        help="(J - J of SFT) / (best J - J of SFT), with J = reward - KL strength x KL.",
    ),
    Column("worst_share", "worst seed", help="Share of the optimum of the worst seed."),
    Column("regret", "regret", help="Best J less the policy's; the sum of the three parts."),
    *(Column(name, label, help=HELP[name]) for name, label in LABELS.items()),
    Column("seeds", "seeds", help="Seeds whose optimum is near enough to be estimated."),
)


def regret_section(results: Results) -> Section | None:
    """Return the section; None where no regret is known."""
    parts = [
        Part(results.task_title(task), task=task, tables=regret_tables(results, task))
        for task in results.tasks
    ]
    if not any(parts):
        return None
    figure = _figure(results)
    charts = (Chart("regret", "Regret of every method by its parts", figure),) if figure else ()
    return Section("regret", "Regret", INTRODUCTION, charts, tuple(parts))


def regret_tables(results: Results, task: str) -> tuple[Table, Table]:
    """Return the regret of the selected settings, and folded that of every KL strength."""
    selected = tuple(_row(results, regret) for regret in regrets(results, task, selected=True))
    every = tuple(_row(results, regret) for regret in regrets(results, task))
    return Table.of(COLUMNS, selected), Table(
        COLUMNS, every, folded=True, title="Every KL strength"
    )


def _row(results: Results, regret: StrengthRegret) -> dict[str, str]:
    return {
        "method": results.marked(regret.method),
        "strength": parameter(regret.strength),
        "share": percent(regret.share),
        "worst_share": percent(regret.worst_share),
        "regret": number(regret.regret),
        **{name: number(value) for name, value in regret.parts.items()},
        "seeds": count(regret.seeds),
    }


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
            number(total),
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

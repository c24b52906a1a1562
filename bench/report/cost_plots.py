"""Gain against what it took: settings tried, responses, tokens, seconds, labels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench.report.effort import best_of_k_gains
from bench.report.charts.facets import FEW, facet_panels
from bench.results.loading import Results
from bench.analysis.selection import contrast_of, gold_by_seed, selected_rows
from bench.report.charts.style import Look, legend, looks, panels
from bench.analysis.statistics import Interval, mean_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES = {
    "responses_sampled": "responses sampled",
    "train_tokens": "training tokens",
    "train_seconds": "training, seconds",
    "labels": "labels asked for",
}
# Intervals at the same place must not hide each other: a hair aside, in points and in settings.
ASIDE_POINTS = 2.5
ASIDE = 0.06


def cost(results: Results) -> Figure | None:
    """Gold reward gained over SFT beside what it took, selected settings, medians over seeds."""
    tasks = [t for t in results.tasks if len(set(selected_rows(results.runs, t)["method"])) > 1]
    if not tasks:
        return None
    if len(results.methods) > FEW:
        return _rows(results, tasks)
    figure, axes = panels(len(tasks), len(AXES), 3.3, 3.2)
    shown = {m: look for m, look in looks(results.methods).items() if m != "sft"}
    for task, line in zip(tasks, axes, strict=True):
        _against_cost(line, results, task, shown)
    legend(figure, shown, results, [])
    return figure


def _against_cost(line: list[Axes], results: Results, task: str, shown: dict[str, Look]) -> None:
    """Draw a task's gains against each cost."""
    from matplotlib.transforms import ScaledTranslation

    rows, gains = _gains(results, task)
    for ax, (column, words) in zip(line, AXES.items(), strict=True):
        inches = ax.get_figure().dpi_scale_trans  # type: ignore[union-attr]
        for i, (method, gain) in enumerate(gains.items()):
            look = shown[method]
            aside = ASIDE_POINTS * (i - (len(shown) - 1) / 2) / 72
            ax.errorbar(
                rows.loc[rows["method"] == method, column].median(),
                gain.mean,
                yerr=_half(gain),
                fmt=look.marker,
                color=look.color,
                ms=6,
                capsize=3,
                transform=ax.transData + ScaledTranslation(aside, 0, inches),
            )
        ax.axhline(0, color="#8a94a3", lw=0.8)
        _zero_based(ax, rows[column].dropna())
        ax.set(xlabel=words, ylim=_around(list(gains.values())))
        ax.grid(True)
    line[0].set(title=results.task_title(task), ylabel=f"{results.scale(task)} gain over SFT")


def _rows(results: Results, tasks: list[str]) -> Figure:
    """Draw a row for each method, by its gain: many points at the same cost hide each other."""
    most = len(results.methods) - 1
    figure, axes = panels(len(tasks), 1 + len(AXES), 2.7, 0.24 * most + 1.0)
    for task, line in zip(tasks, axes, strict=True):
        rows, gains = _gains(results, task)
        order = sorted(gains, key=lambda m: -np.nan_to_num(gains[m].mean, nan=-np.inf))
        for i, method in enumerate(order):
            look, gain = looks(results.methods)[method], gains[method]
            mark: dict[str, Any] = {"fmt": look.marker, "color": look.color, "ms": 6, "capsize": 2}
            line[0].errorbar(gain.mean, i, xerr=_half(gain), **mark)
            for ax, column in zip(line[1:], AXES, strict=True):
                took = rows.loc[rows["method"] == method, column].median()
                ax.barh(i, took, color=look.color, height=0.62)
        line[0].axvline(0, color="#8a94a3", lw=0.8)
        for ax, (column, words) in zip(line[1:], AXES.items(), strict=True):
            _zero_based(ax, rows[column].dropna())
            ax.set_xlim(left=0)
            ax.set(xlabel=words)
        for ax in line:
            ax.set_yticks(range(len(order)), [""] * len(order))
            ax.set_ylim(most - 0.4, -0.6)
            ax.grid(True, axis="x")
            ax.tick_params(axis="y", length=0)
        line[0].set_yticks(range(len(order)), [results.marked(m) for m in order])
        line[0].set(title=results.task_title(task), xlabel=f"{results.scale(task)} gain over SFT")
    return figure


def _gains(results: Results, task: str) -> tuple[pd.DataFrame, dict[str, Interval]]:
    """Return the selected settings' rows, and each method's gain over SFT."""
    rows = selected_rows(results.runs, task)
    gold = gold_by_seed(rows)
    others = [method for method in results.methods if method != "sft"]
    return rows, {method: contrast_of(gold, method, "sft").difference for method in others}


def _half(interval: Interval) -> float:
    return interval.half_width if math.isfinite(interval.half_width) else 0.0


def _around(gains: list[Interval]) -> tuple[float, float]:
    """Return frontiers that hold 0 and all intervals: matplotlib cannot tell where points moved to."""
    known = [gain for gain in gains if math.isfinite(gain.mean)]
    low = min(0.0, *(gain.mean - _half(gain) for gain in known)) if known else 0.0
    high = max(0.0, *(gain.mean + _half(gain) for gain in known)) if known else 0.0
    room = 0.06 * (high - low) or 1.0
    return low - room, high + room


def _zero_based(ax: Axes, values: pd.Series) -> None:
    """Start the axis at 0; where costs differ much, make it logarithmic above the smallest."""
    positive = values[values > 0]
    if positive.empty:
        return
    low, high = float(positive.min()), float(positive.max())
    if high / low > 30:
        ax.set_xscale("symlog", linthresh=low)
        ax.set_xlim(-0.4 * low, 3 * high)
    else:
        ax.locator_params(axis="x", nbins=4)
        ax.set_xlim(-0.1 * high, 1.15 * high)
    # The scales' own labels are formulas, or powers of ten in a corner.
    ax.xaxis.set_major_formatter(lambda value, _: _short(value))


def _short(value: float) -> str:
    """Return an axis label that leaves room for the next one."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if abs(value) >= 1e4 else f"{value:g}"


def effort(results: Results) -> Figure | None:
    """Gold gain to expect had only so many settings been tried, a line for each method."""
    shown = {m: look for m, look in looks(results.methods).items() if m != "sft"}
    found = {
        (task, method): best_of_k_gains(results.runs[results.runs["task"] == task], method)
        for task in results.tasks
        for method in shown
    }
    tasks = [t for t in results.tasks if any(not found[t, m].empty for m in shown)]
    if not tasks:
        return None
    logged = [m for m in shown if any(len(found[t, m]) for t in tasks)]
    figure, split = facet_panels(results, tasks, logged, (5.4, 3.6))
    for ax, task, facet in split:
        most = max(len(found[task, method]) for method in shown)
        for i, method in enumerate(facet.methods):
            gains, look = found[task, method], shown[method]
            if gains.empty:
                continue
            intervals = [mean_interval(row.tolist()) for _, row in gains.iterrows()]
            aside = ASIDE * (i - (len(facet.methods) - 1) / 2)
            ax.errorbar(
                [k + aside for k in gains.index],
                [interval.mean for interval in intervals],
                yerr=[_half(interval) for interval in intervals],
                color=look.color,
                marker=look.marker,
                ms=6,
                lw=1.8,
                elinewidth=1,
                capsize=3,
            )
        ax.axhline(0, color="#8a94a3", lw=0.8)
        ax.set_xticks(range(1, most + 1))
        ax.set(xlabel="settings tried", xlim=(0.6, most + 0.4))
        ax.set(ylabel="expected gold gain over SFT")
        ax.grid(True, axis="y")
    return figure

"""What each method used, what it gained for that, and how many labels a reward model saved."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench.analysis.contrasts import contrast
from bench.analysis.selection import select_settings, selected_rewards, selected_rows
from bench.analysis.statistics import Interval
from bench.analysis.usage import (
    TOKENS_PER_SECOND,
    responses_per_answer,
    reward_model_seconds,
    reward_queries,
    selected_usage,
    training_amounts,
)
from bench.report.charts.facets import FEW
from bench.report.charts.plots import records, specifications
from bench.report.charts.style import ZERO_COLOR, Look, legend, looks, panels
from bench.report.charts.usage import logarithmic_from, usage_chart
from bench.report.content.display import (
    MISSING,
    Number,
    count,
    metric_label,
    metric_value,
    seconds,
    setting,
)
from bench.report.content.effort import equal_reward_sentence, sharing_sentence
from bench.report.content.failures import failed_rows
from bench.report.content.section import Chart, Column, Part, Plot, Section, Switch, Table
from bench.results.loading import Results
from bench.results.metrics import USAGE, shown_in

if TYPE_CHECKING:
    import altair as alt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INTRODUCTION = (
    "What training used at the selected setting, median over seeds. Base model, SFT and feedback, "
    "which all methods share, are on the tab Run. Best-of-n trains nothing and pays when it "
    "answers: it samples n responses for each answer."
)
TRAINED_ON = Column(
    "trained_on",
    "trained on",
    help="Episodes, which are sampled and rewarded, or training examples, repeats included.",
)
PER_ANSWER = Column(
    "per_answer",
    "responses per answer",
    help="Responses that are sampled for one answer: n of best-of-n, 1 of any other method.",
)
REWARD_MODEL = Column(
    "reward_model",
    "reward model (s)",
    help="Time to train the reward model, which all methods with a number here share; not part of "
    "the training time.",
)
SPEED = Column(TOKENS_PER_SECOND, "tokens per second", help="Training tokens per second.")
SAVED = Column(
    "saved",
    "labels saved, all settings",
    help="Answers of the reward model in training, over all settings of a seed, less the labels it "
    "was trained on: what asking the annotator each time would have taken.",
)
AXES = ("responses_sampled", "train_tokens", "train_seconds", "labels", PER_ANSWER.name)
LABELS = {metric.name: metric_label(metric) for metric in USAGE if metric.name in AXES}
LABELS |= {PER_ANSWER.name: PER_ANSWER.label}
# In the order in which readers choose.
PLOT_AXES = ("train_seconds", "responses_sampled", "train_tokens", "labels", PER_ANSWER.name)


def cost_section(results: Results) -> Section:
    """Return the section: a table for each task, and gains against usage."""
    parts = tuple(
        Part(
            results.task_title(task),
            task=task,
            paragraphs=_paragraphs(results, task),
            tables=(usage_table(results, task),),
        )
        for task in results.tasks
    )
    figure = cost_figure(results)
    about = "Reward gained over SFT against responses, tokens, time and labels"
    plots = tuple(plot for task in results.tasks if (plot := _plot(results, task)))
    charts = (Chart("cost", about, figure, plots),) if figure else ()
    return Section("cost", "Cost", INTRODUCTION, charts, parts)


def _paragraphs(results: Results, task: str) -> tuple[str, ...]:
    return tuple(
        filter(None, (equal_reward_sentence(results, task), sharing_sentence(results, task)))
    )


def usage_table(results: Results, task: str) -> Table:
    """Return what training used at each method's selected setting, and the labels saved."""
    metrics, usage = shown_in("usage"), selected_usage(results, task)
    saved = {
        method: count(answers.saved) for method, answers in reward_queries(results, task).items()
    }
    trained_on = {
        method: Number(
            f"{count(training.amount)} {training.unit.removeprefix('training ')}", training.amount
        )
        for method, training in training_amounts(results, task).items()
    }
    per_answer = responses_per_answer(results, task)
    learned = reward_model_seconds(results, task)
    rows = [
        {
            "method": results.marked(str(method)),
            "per_answer": count(per_answer[str(method)]),
            "trained_on": trained_on.get(str(method), MISSING),
            **{metric.name: metric_value(metric, used[metric.name]) for metric in metrics},
            REWARD_MODEL.name: seconds(learned.get(str(method), math.nan)),
            TOKENS_PER_SECOND: count(used[TOKENS_PER_SECOND]),
            "saved": saved.get(str(method), MISSING),
        }
        for method, used in usage.to_dict("index").items()
    ]
    columns = [Column(metric.name, metric_label(metric), help=metric.help) for metric in metrics]
    method = Column("method", "method", "text")
    columns = [method, TRAINED_ON, *columns, REWARD_MODEL, SPEED, PER_ANSWER, SAVED]
    return Table.of(columns, [*rows, *failed_rows(results, task, columns)])


def _plot(results: Results, task: str) -> Plot | None:
    """Return gains against usage, of all methods but SFT that finished."""
    rows, gains = _gains(results, task)
    settings = select_settings(results.runs, task)
    used = rows.groupby("method")[list(AXES)].median()
    points = pd.DataFrame(
        [
            {
                "method": method,
                "setting": setting(settings[method]),
                "gain": gain.mean,
                "low": gain.low,
                "high": gain.high,
                **used.loc[method].to_dict(),
            }
            for method, gain in gains.items()
            if method in used.index and gain.n
        ]
    )
    if points.empty:
        return None
    by_label = {label: name for name, label in LABELS.items()}
    switch = Switch("against", tuple(LABELS[name] for name in PLOT_AXES))

    def make(label: str) -> alt.LayerChart:
        name = by_label[label]
        return usage_chart(name, LABELS, points[name].dropna().tolist())

    data = {"methods": records(points), "zero": [{"gain": 0}]}
    title = f"Reward gained over SFT against usage on {results.task_title(task)}"
    return Plot(task, title, specifications(make, (switch,)), data, (switch,))


def cost_figure(results: Results) -> Figure | None:
    """Draw the reward gained over SFT against usage: selected settings, medians over seeds."""
    tasks = [t for t in results.tasks if len(set(selected_rows(results.runs, t)["method"])) > 1]
    if not tasks:
        return None
    if len(results.methods) > FEW:
        return _bars(results, tasks)
    figure, axes = panels(len(tasks), len(AXES), 2.9, 3.0)
    shown = {m: look for m, look in looks(results.methods).items() if m != "sft"}
    for task, row in zip(tasks, axes, strict=True):
        _scatter(row, results, task, shown)
    legend(figure, shown, results, [])
    return figure


def _scatter(row: list[Axes], results: Results, task: str, shown: dict[str, Look]) -> None:
    """Draw a task's gains against each kind of usage."""
    rows, gains = _gains(results, task)
    for ax, (name, label) in zip(row, _labels(), strict=True):
        for method, gain in gains.items():
            look = shown[method]
            # Points at no cost lie on the axis, and are drawn whole.
            ax.errorbar(
                rows.loc[rows["method"] == method, name].median(),
                gain.mean,
                yerr=half_width(gain),
                fmt=look.marker,
                color=look.color,
                ms=6,
                capsize=3,
                clip_on=False,
                zorder=3,
            )
        ax.axhline(0, color=ZERO_COLOR, lw=0.8)
        _scale_usage(ax, rows[name].dropna())
        ax.set(xlabel=label, ylim=_gain_limits(list(gains.values())))
        ax.grid(True)
    row[0].set(title=results.task_title(task), ylabel=_gain_label(results, task))


def _bars(results: Results, tasks: list[str]) -> Figure:
    """Draw a row for each method, by its gain: many points at the same usage hide each other."""
    most = len(results.methods) - 1
    figure, axes = panels(len(tasks), 1 + len(AXES), 2.7, 0.24 * most + 1.0)
    for task, row in zip(tasks, axes, strict=True):
        rows, gains = _gains(results, task)
        order = sorted(gains, key=lambda m: -np.nan_to_num(gains[m].mean, nan=-np.inf))
        for i, method in enumerate(order):
            look, gain = looks(results.methods)[method], gains[method]
            marker: dict[str, Any] = {"fmt": look.marker, "color": look.color, "ms": 6}
            row[0].errorbar(gain.mean, i, xerr=half_width(gain), capsize=2, **marker)
            for ax, name in zip(row[1:], AXES, strict=True):
                used = rows.loc[rows["method"] == method, name].median()
                ax.barh(i, used, color=look.color, height=0.62)
        row[0].axvline(0, color=ZERO_COLOR, lw=0.8)
        for ax, (name, label) in zip(row[1:], _labels(), strict=True):
            _scale_usage(ax, rows[name].dropna())
            ax.set(xlabel=label)
        for ax in row:
            ax.set_yticks(range(len(order)), [""] * len(order))
            ax.set_ylim(most - 0.4, -0.6)
            ax.grid(True, axis="x")
            ax.tick_params(axis="y", length=0)
        row[0].set_yticks(range(len(order)), [results.marked(method) for method in order])
        row[0].set(title=results.task_title(task), xlabel=_gain_label(results, task))
    return figure


def _labels() -> list[tuple[str, str]]:
    return [(name, LABELS[name]) for name in AXES]


def _gain_label(results: Results, task: str) -> str:
    return f"{results.reward_source(task)} reward gained over SFT"


def _gains(results: Results, task: str) -> tuple[pd.DataFrame, dict[str, Interval]]:
    """Return the selected settings' rows, and each method's gain over SFT."""
    rows = selected_rows(results.runs, task)
    per_answer = rows["method"].map(responses_per_answer(results, task)).astype(float)
    rows = rows.assign(per_answer=per_answer)
    rewards = selected_rewards(results, task)
    others = [method for method in results.methods if method != "sft"]
    return rows, {method: contrast(rewards, method, "sft").difference for method in others}


def half_width(interval: Interval) -> float:
    """Return the length of an error bar; 0 where there is no interval."""
    return interval.half_width if math.isfinite(interval.half_width) else 0.0


def _gain_limits(gains: list[Interval]) -> tuple[float, float]:
    """Return limits that hold 0 and all intervals, with some room."""
    known = [gain for gain in gains if math.isfinite(gain.mean)]
    low = min(0.0, *(gain.mean - half_width(gain) for gain in known)) if known else 0.0
    high = max(0.0, *(gain.mean + half_width(gain) for gain in known)) if known else 0.0
    room = 0.06 * (high - low) or 1.0
    return low - room, high + room


def _scale_usage(ax: Axes, values: pd.Series) -> None:
    """Start the axis at 0; where usage differs much, make it logarithmic above the smallest."""
    high = float(values.max())
    if not high > 0:
        return
    if smallest := logarithmic_from(values):
        ax.set_xscale("symlog", linthresh=smallest)
        ax.set_xlim(0, 3 * high)
    else:
        ax.locator_params(axis="x", nbins=4)
        ax.set_xlim(0, 1.15 * high)
    # The scales' own labels are formulas, or powers of ten in a corner.
    ax.xaxis.set_major_formatter(lambda value, _: _short(value))


def _short(value: float) -> str:
    """Return an axis label that leaves room for the next one."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if abs(value) >= 1e4 else f"{value:g}"

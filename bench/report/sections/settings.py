"""All settings tried: what more tries are worth, every setting's numbers, and failed runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from bench.analysis.averages import complete_mean
from bench.analysis.effort import BUDGETS, best_of_k_gains, efforts, settings_tried
from bench.analysis.selection import (
    edges,
    ok_rows,
    seed_counts,
    select_settings,
    table_order,
)
from bench.analysis.statistics import mean_interval
from bench.report.charts.facets import Panel, facet_panels
from bench.report.charts.style import ZERO_COLOR, looks
from bench.report.content.display import MISSING, count, number, percent, setting
from bench.report.content.section import Chart, Column, Part, Section, Table
from bench.report.sections.cost import half_width
from bench.results.loading import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INTRODUCTION = (
    "Gain over SFT on test prompts to expect if only so many settings had been tried, the best of "
    "them selected on validation prompts. More settings mean more chances: compare methods at the "
    "same number."
)
AREA = (
    "Area under the best reward within each KL budget, as a share of the area under the optimal "
    "frontier; above the SFT policy's reward."
)
SELECTED, ON_EDGE = "●", "● edge"
METHOD = Column("method", "method", "text")
FAILURE_COLUMNS = (
    Column("task", "task", "text"),
    METHOD,
    Column("setting", "setting", "text"),
    Column("seed", "seed"),
    Column("status", "status", "text"),
    Column("error", "error", "long"),
)
# Methods with the same number of tries are drawn next to each other.
OFFSET = 0.06


def settings_section(results: Results) -> Section:
    """Return the section: effort and settings of each task, and the runs that failed."""
    parts = [
        Part(
            results.task_title(task),
            task=task,
            paragraphs=(_tried_sentence(results, task),),
            tables=(effort_table(results, task), settings_table(results, task)),
        )
        for task in results.tasks
    ]
    failures = failure_table(results.runs)
    nothing = () if failures else ("No run failed or diverged.",)
    failed = Part("Failures", paragraphs=nothing, tables=(failures,))
    figure = effort_figure(results)
    alt = "Expected gain against the number of settings tried"
    charts = (Chart("effort", alt, figure),) if figure else ()
    return Section("settings", "All settings tried", INTRODUCTION, charts, (*parts, failed))


def _tried_sentence(results: Results, task: str) -> str:
    tried = settings_tried(results.runs, task)
    return f"Settings tried: {', '.join(f'{method} {n}' for method, n in tried.items())}."


def effort_table(results: Results, task: str) -> Table:
    """Return what the settings of each method but SFT are worth together."""
    order = table_order(results, task)
    methods = efforts(results.runs, results.frontier, task)
    methods.sort(key=lambda method: order.index(method.method))
    most = max((len(method.best_of) for method in methods), default=0)
    columns = [
        METHOD,
        Column("area", "area under the frontier", help=AREA),
        *(
            Column(
                _within(budget),
                f"reward at KL ≤ {budget:g}",
                help="Of the setting that validation prompts would select within that KL.",
            )
            for budget in BUDGETS
        ),
        *(
            Column(_best_of(k), f"best of {k}", help="Test reward to expect after so many tries.")
            for k in range(1, most + 1)
        ),
        Column(
            "collapsed",
            "collapsed",
            help="Runs that failed or ended below the SFT policy, out of all that were started.",
        ),
    ]
    rows = [
        {
            "method": results.marked(method.method, task),
            "area": percent(method.area),
            **{_within(budget): number(reward) for budget, reward in method.within.items()},
            **{_best_of(k): MISSING for k in range(1, most + 1)},
            **{_best_of(k): number(value) for k, value in enumerate(method.best_of, start=1)},
            "collapsed": MISSING
            if method.collapsed is None
            else f"{method.collapsed}/{method.runs}",
        }
        for method in methods
    ]
    return Table(tuple(columns), tuple(rows), folded=True, title="Methods over all settings")


def _within(budget: float) -> str:
    return f"within_{budget:g}"


def _best_of(k: int) -> str:
    return f"best_of_{k}"


def settings_table(results: Results, task: str) -> Table:
    """Return every setting tried; the selected ones are marked, as are those on a grid's edge."""
    runs = results.runs[results.runs["task"] == task]
    finished, selected = ok_rows(runs), select_settings(results.runs, task)
    tried = runs.drop_duplicates(["method", "params"]).sort_values("strength")
    on_edge = {edge.method for edge in edges(results.runs, task)}
    rows = []
    for method in table_order(results, task):
        for params in tried.loc[tried["method"] == method, "params"]:
            is_selected = selected.get(method) == params
            mine = (finished["method"] == method) & (finished["params"] == params)
            done, started = seed_counts(runs, task, method, params)
            rows.append(
                {
                    "mark": is_selected * (ON_EDGE if method in on_edge else SELECTED),
                    "selected": is_selected,
                    "method": results.marked(method, task),
                    "setting": setting(params),
                    **_setting_metrics(finished[mine]),
                    "seeds": f"{done}/{started}",
                }
            )
    columns = _setting_columns(results.reward_source(task))
    return Table(tuple(columns), tuple(rows), folded=True, title="All settings")


def _setting_columns(source: str) -> list[Column]:
    return [
        Column("mark", "selected", "text", help="Edge: nothing beyond this value was tried."),
        METHOD,
        Column("setting", "setting", "text"),
        Column("validation", f"validation {source} reward"),
        Column("test", f"test {source} reward"),
        Column("kl", "KL (nats)"),
        Column("efficiency", "efficiency"),
        Column("seeds", "seeds", help="Finished out of started."),
    ]


def _setting_metrics(rows: pd.DataFrame) -> dict[str, str]:
    """Return means over seeds of the finished runs of a setting."""
    validation, test = (rows[rows["split"] == split] for split in ("validation", "test"))
    return {
        "validation": number(validation["reward"].mean()),
        "test": number(test["reward"].mean()),
        "kl": number(test["kl"].mean()),
        "efficiency": percent(complete_mean(test["efficiency"])),
    }


def failure_table(runs: pd.DataFrame) -> Table:
    """Return every run that failed or diverged, with its error."""
    failed = runs[runs["status"] != "ok"].drop_duplicates(["task", "method", "params", "seed"])
    rows = [
        {
            "task": run["task"],
            "method": run["method"],
            "setting": setting(run["params"]),
            "seed": count(run["seed"]),
            "status": run["status"],
            "error": run["error"],
        }
        for _, run in failed.iterrows()
    ]
    return Table.of(FAILURE_COLUMNS, rows)


def effort_figure(results: Results) -> Figure | None:
    """Draw the gain to expect against the number of settings tried, a line for each method."""
    methods = [method for method in results.methods if method != "sft"]
    gains = {
        (task, method): best_of_k_gains(results.runs[results.runs["task"] == task], method)
        for task in results.tasks
        for method in methods
    }
    tasks = [task for task in results.tasks if any(not gains[task, m].empty for m in methods)]
    if not tasks:
        return None
    shown = [method for method in methods if any(len(gains[task, method]) for task in tasks)]
    figure, panels = facet_panels(results, tasks, shown, (5.4, 3.6))
    for panel in panels:
        _draw(panel, {method: gains[panel.task, method] for method in methods}, results)
    return figure


def _draw(panel: Panel, gains: dict[str, pd.DataFrame], results: Results) -> None:
    """Draw a task's lines; gains have a row for each number of settings, a column for each seed."""
    ax, methods = panel.ax, panel.facet.methods
    most = max(len(table) for table in gains.values())
    for i, method in enumerate(methods):
        if gains[method].empty:
            continue
        look = looks(results.methods)[method]
        intervals = [mean_interval(row.tolist()) for _, row in gains[method].iterrows()]
        offset = OFFSET * (i - (len(methods) - 1) / 2)
        ax.errorbar(
            [k + offset for k in gains[method].index],
            [interval.mean for interval in intervals],
            yerr=[half_width(interval) for interval in intervals],
            color=look.color,
            marker=look.marker,
            ms=6,
            lw=1.8,
            elinewidth=1,
            capsize=3,
        )
    ax.axhline(0, color=ZERO_COLOR, lw=0.8)
    ax.set_xticks(range(1, most + 1))
    source = results.reward_source(panel.task)
    ax.set(xlabel="settings tried", xlim=(0.6, most + 0.4))
    ax.set(ylabel=f"expected {source} reward over SFT")
    ax.grid(True, axis="y")

"""The main table: every method at its selected setting, on test prompts."""

from __future__ import annotations

import pandas as pd

from bench.analysis.averages import complete_mean
from bench.analysis.contrasts import contrast
from bench.analysis.selection import seed_counts, select_settings, selected_rows
from bench.analysis.statistics import mean_interval
from bench.report.content.display import (
    MISSING,
    metric_help,
    metric_label,
    metric_value,
    plus_minus,
    setting,
    signed,
)
from bench.report.content.section import Column, Part, Section, Table
from bench.results.columns import Metric
from bench.results.loading import Results, method_order
from bench.results.metrics import shown_in

INTRODUCTION = (
    "Every method at the setting selected on validation prompts; all numbers are from test "
    "prompts, means over seeds. ± is half the width of the 95% t-interval; brackets hold the 95% "
    "t-interval of the paired difference."
)
METHOD = Column("method", "method", "text")
SETTING = Column("setting", "setting", "text")
GAIN = Column(
    "gain", "gain over SFT", help="Difference in reward from the SFT policy, paired by seed."
)
SEEDS = Column("seeds", "seeds", help="Finished out of started.")


def main_section(results: Results) -> Section:
    """Return the section: a table for each task."""
    parts = [Part(results.task_title(t), tables=(main_table(results, t),)) for t in results.tasks]
    return Section("results", "Results", INTRODUCTION, parts=tuple(parts))


def main_table(results: Results, task: str) -> Table:
    """Return a row for each method, with the metrics shown in the main table.

    Columns are named method, setting, gain, seeds and as the metrics are.
    """
    runs = results.runs
    rows, settings = selected_rows(runs, task), select_settings(runs, task)
    metrics, lines = shown_in("main"), []
    for method in method_order(runs[runs["task"] == task]):
        own_rows = rows[rows["method"] == method]
        params = settings.get(method)
        gain = contrast(rows, method, "sft").difference
        finished, started = seed_counts(runs, task, method, params)
        lines.append(
            {
                "method": results.marked(method, task),
                "setting": MISSING if params is None else setting(params),
                **{metric.name: metric_cell(metric, own_rows[metric.name]) for metric in metrics},
                "gain": MISSING if method == "sft" else signed(gain),
                "seeds": f"{finished}/{started}",
            }
        )
    source = results.reward_source(task)
    columns = [
        Column(m.name, metric_label(m, source), help=metric_help(m, source)) for m in metrics
    ]
    columns.insert(1 + [metric.name for metric in metrics].index("reward"), GAIN)
    return Table.of([METHOD, SETTING, *columns, SEEDS], lines)


def metric_cell(metric: Metric, values: pd.Series) -> str:
    """Return the mean over seeds, as the metric declares it."""
    if metric.complete:
        return metric_value(metric, complete_mean(values))
    interval = mean_interval(values.dropna().tolist())
    return plus_minus(interval) if metric.interval else metric_value(metric, interval.mean)

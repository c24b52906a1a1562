"""The main table: every method at its selected setting, on test prompts."""

from __future__ import annotations

import math
from functools import lru_cache

import pandas as pd

from bench.analysis.averages import complete_mean
from bench.analysis.contrasts import contrast
from bench.analysis.selection import (
    SelectedRewards,
    seed_counts,
    select_settings,
    selected_rewards,
    selected_rows,
    table_order,
)
from bench.analysis.statistics import crossed_interval, mean_interval
from bench.report.content.display import (
    MISSING,
    metric_help,
    metric_label,
    metric_value,
    number,
    plus_minus,
    setting,
    signed,
)
from bench.report.content.section import Column, Part, Section, Table
from bench.report.sections.contrasts import prompts_note
from bench.results.columns import Metric
from bench.results.loading import Results
from bench.results.metrics import shown_in

INTRODUCTION = (
    "Every method at the setting selected on validation prompts: means over seeds on test prompts, "
    "with 95% intervals."
)
METHOD = Column("method", "method", "text")
SETTING = Column("setting", "setting", "text")
GAIN = Column(
    "gain",
    "gain over SFT",
    help="Difference in reward from the SFT policy, paired by seed, with its 95% interval.",
    best="high",
)
SEEDS = Column("seeds", "seeds", help="Finished out of started.")
# Of the metrics, those that methods are compared by: copied tables have the best in bold.
COMPARED = ("reward", "win_rate_sft", "efficiency")


def main_section(results: Results) -> Section:
    """Return the section: a table for each task."""
    parts = [
        Part(
            results.task_title(task),
            task=task,
            paragraphs=prompts_note(results, task),
            tables=(main_table(results, task),),
        )
        for task in results.tasks
    ]
    return Section("results", "Results", INTRODUCTION, parts=tuple(parts))


@lru_cache(maxsize=16)
def main_table(results: Results, task: str) -> Table:
    """Return a row for each method, with the metrics shown in the main table.

    Columns are named method, setting, gain, seeds and as the metrics are.
    """
    runs = results.runs
    rows, settings = selected_rows(runs, task), select_settings(runs, task)
    rewards = selected_rewards(results, task)
    metrics, lines = shown_in("main"), []
    for method in table_order(results, task):
        own_rows = rows[rows["method"] == method]
        params = settings.get(method)
        gain = contrast(rewards, method, "sft").difference
        cells = {metric.name: metric_cell(metric, own_rows[metric.name]) for metric in metrics}
        if rewards.by_prompt is not None:
            cells["reward"] = reward_for_other_prompts(rewards, method)
        finished, started = seed_counts(runs, task, method, params)
        lines.append(
            {
                "method": results.marked(method, task),
                "setting": MISSING if params is None else setting(params),
                **cells,
                "gain": MISSING if method == "sft" else signed(gain),
                "seeds": f"{finished}/{started}",
            }
        )
    source = results.reward_source(task)
    columns = [
        Column(
            m.name,
            metric_label(m, source),
            help=metric_help(m, source),
            best="high" if m.name in COMPARED else "",
        )
        for m in metrics
    ]
    columns.insert(1 + [metric.name for metric in metrics].index("reward"), GAIN)
    return Table.of([METHOD, SETTING, *columns, SEEDS], lines)


def metric_cell(metric: Metric, values: pd.Series) -> str:
    """Return the mean over seeds, as the metric declares it."""
    if metric.complete:
        return metric_value(metric, complete_mean(values))
    interval = mean_interval(values.dropna().tolist())
    return plus_minus(interval) if metric.interval else metric_value(metric, interval.mean)


def reward_for_other_prompts(rewards: SelectedRewards, method: str) -> str:
    """Return a method's reward with its interval for other seeds and other prompts."""
    table = (rewards.by_prompt or {}).get(method, pd.DataFrame()).dropna(axis="columns")
    if not table.empty:
        return plus_minus(crossed_interval(table.to_numpy()))
    mean = rewards.by_seed[method].mean() if method in rewards.by_seed else math.nan
    return number(float(mean))

"""Metric by metric: each method in each folder, and the difference from the first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from bench.analysis.averages import complete_mean
from bench.analysis.selection import (
    SelectedRewards,
    select_settings,
    selected_rewards,
    selected_rows,
)
from bench.analysis.statistics import (
    Interval,
    crossed_interval,
    mean_interval,
    welch_interval,
)
from bench.report.content.display import (
    MISSING,
    Number,
    metric_label,
    metric_value,
    percent,
    setting,
    visible,
)
from bench.report.content.section import Column, Part, Section, Table
from bench.report.several.comparability import Comparability, common_methods
from bench.report.several.folders import Folder
from bench.report.several.settings import folder_column, folder_columns
from bench.results.columns import Metric
from bench.results.metrics import shown_in

INTRODUCTION = (
    "Each method at the setting selected in its folder, on test prompts: means over seeds ± half "
    "of the 95% interval, and differences from the first folder with their 95% intervals in "
    "brackets. Paired: of the seeds that both folders have. Not paired: of all seeds (Welch). "
    "Exploratory: no verdicts. Of intervals without any difference, 1 in 20 excludes 0."
)
NOT_COMPARABLE = (
    "These folders are not comparable on this task: a difference need not come from the method. "
    "Seeds are not paired."
)
METHOD = Column("method", "method", "text")
METRIC = Column("metric", "metric", "text")
SEEDS = Column("seeds", "difference over", "text")
# Of the SFT policy, what is the same by definition.
BY_DEFINITION = ("kl", "win_rate_sft")


class Measured(NamedTuple):
    """A metric of a method in a folder.

    Attributes:
        by_seed: Values on test prompts.
        by_prompt: A row for each seed and a column for each prompt, where prompts are a sample and
            their values are known.
    """

    by_seed: pd.Series
    by_prompt: pd.DataFrame | None = None


def metrics_section(folders: Sequence[Folder], tasks: Sequence[Comparability]) -> Section:
    """Return the section: a table for each task that all folders have."""
    parts = tuple(_part(folders, task) for task in tasks)
    return Section("metrics", "Metric by metric", INTRODUCTION, parts=parts)


def _part(folders: Sequence[Folder], found: Comparability) -> Part:
    return Part(
        visible(folders[0].results.task_title(found.task)),
        warnings=() if found.comparable else (NOT_COMPARABLE,),
        tables=(
            metrics_table(folders, found.task, paired=found.comparable),
            selected_table(folders, found.task),
        ),
        task=found.task,
    )


def selected_table(folders: Sequence[Folder], task: str) -> Table:
    """Return the selected setting of each method in each folder."""
    selected = [select_settings(folder.results.runs, task) for folder in folders]
    rows = [
        {"method": visible(method)}
        | {
            folder_column(i): visible(setting(own[method])) if method in own else MISSING
            for i, own in enumerate(selected)
        }
        for method in common_methods(folders, task)
        if method != "sft"
    ]
    columns = [
        column._replace(label=f"selected in {column.label}")
        for column in folder_columns(folders, "long")
    ]
    return Table.of([METHOD, *columns], rows)


def metrics_table(folders: Sequence[Folder], task: str, *, paired: bool) -> Table:
    """Return a row for each main metric and each method that all folders have.

    Args:
        folders: At least two.
        task: A task that all of them have.
        paired: Whether seeds are paired where two folders share at least two.
    """
    tests = [selected_rows(folder.results.runs, task) for folder in folders]
    rewards = [selected_rewards(folder.results, task) for folder in folders]
    source = folders[0].results.reward_source(task)
    rows = []
    for metric in shown_in("main"):
        for method in common_methods(folders, task):
            if method == "sft" and metric.name in BY_DEFINITION:
                continue
            measured = [measure(metric, method, *each) for each in zip(tests, rewards, strict=True)]
            if any(each.by_seed.notna().any() for each in measured):
                label = {"method": visible(method), "metric": metric_label(metric, source)}
                rows.append(label | _cells(metric, measured, paired))
    first = folders[0].name
    differences = [
        Column(_difference_column(i), f"{folder.name} minus {first}")
        for i, folder in enumerate(folders)
        if i
    ]
    # Never folded: it is what readers came for.
    columns = (METHOD, METRIC, *folder_columns(folders), *differences, SEEDS)
    return Table(columns, tuple(rows))


def _difference_column(i: int) -> str:
    return f"difference_{i}"


def measure(metric: Metric, method: str, rows: pd.DataFrame, rewards: SelectedRewards) -> Measured:
    """Return a metric of a method at its selected setting.

    A metric that counts only where every seed has it is missing altogether where one lacks it.
    """
    own = rows[rows["method"] == method].drop_duplicates("seed").set_index("seed")[metric.name]
    if metric.complete and math.isnan(complete_mean(own)):
        own = own.iloc[:0]
    table = (rewards.by_prompt or {}).get(method) if metric.name == "reward" else None
    return Measured(own.dropna(), table)


def _cells(metric: Metric, measured: Sequence[Measured], paired: bool) -> dict[str, str]:
    cells: dict[str, str] = {
        folder_column(i): _mean_cell(metric, average(each)) for i, each in enumerate(measured)
    }
    rests_on = []
    for i, other in enumerate(measured[1:], start=1):
        interval, over = difference(other, measured[0], paired)
        cells[_difference_column(i)] = _difference_cell(metric, interval)
        rests_on.append(over)
    return cells | {"seeds": "; ".join(dict.fromkeys(rests_on))}


def average(measured: Measured) -> Interval:
    """Return the mean over seeds with its interval, which is for other prompts too if a sample."""
    table = measured.by_prompt
    if table is not None and table.dropna(axis="columns").size:
        return crossed_interval(table.dropna(axis="columns").to_numpy())
    return mean_interval(measured.by_seed.tolist())


def difference(ours: Measured, theirs: Measured, paired: bool) -> tuple[Interval, str]:
    """Return ours - theirs with its interval, and what it rests on.

    Args:
        ours: A metric of a method in one folder.
        theirs: The same in another.
        paired: Whether equal seeds, and equal prompts, are the same in both.
    """
    by_seed = (ours.by_seed - theirs.by_seed).dropna()
    if paired and ours.by_prompt is not None and theirs.by_prompt is not None:
        table = ours.by_prompt.sub(theirs.by_prompt).reindex(by_seed.index).dropna(axis="columns")
        if table.size:
            seeds, prompts = table.shape
            over = f"{_seeds(seeds)} and {prompts} prompts, paired"
            return crossed_interval(table.to_numpy()), over
    if paired and len(by_seed) > 1:
        return mean_interval(by_seed.tolist()), f"{_seeds(len(by_seed))}, paired"
    counts = f"{len(ours.by_seed)} and {len(theirs.by_seed)} seeds, not paired"
    return welch_interval(ours.by_seed.tolist(), theirs.by_seed.tolist()), counts


def _seeds(n: int) -> str:
    return f"{n} seed{'' if n == 1 else 's'}"


def _shown(metric: Metric, value: float) -> Number:
    """Return a value in the metric's format; a difference of shares needs a decimal more."""
    return percent(value, 1) if metric.format == "percent" else metric_value(metric, value)


def _mean_cell(metric: Metric, interval: Interval) -> Number:
    """Return a mean and half of its interval."""
    text = _shown(metric, interval.mean)
    if not math.isfinite(interval.half_width):
        return text
    both = f"{text} ± {_shown(metric, interval.half_width)}"
    return Number(both, interval.mean, interval.low, interval.high)


def _difference_cell(metric: Metric, interval: Interval) -> Number:
    """Return a difference and its interval."""
    text = _shown(metric, interval.mean)
    if not math.isfinite(interval.mean):
        return text
    signed = ("+" if interval.mean > 0 and text.strip("0.%") else "") + text
    if math.isfinite(interval.half_width):
        signed += f" [{_shown(metric, interval.low)}, {_shown(metric, interval.high)}]"
    return Number(signed, interval.mean, interval.low, interval.high)

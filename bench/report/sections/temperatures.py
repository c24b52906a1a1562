"""The comparison at other sampling temperatures."""

from __future__ import annotations

from bench.analysis.selection import of_selected, table_order
from bench.report.content.display import number, parameter, percent
from bench.report.content.failures import failed_rows
from bench.report.content.section import Column, Part, Section, Table
from bench.results.loading import Results

INTRODUCTION = (
    "Rewards and win rates at sampling temperatures other than the one behind all other numbers; "
    "0 is greedy. Both sides of a win rate are sampled at that temperature."
)


def temperatures_section(results: Results) -> Section | None:
    """Return the section; None where the experiment asked for no other temperature."""
    parts = [
        Part(results.task_title(t), task=t, tables=(temperature_table(results, t),))
        for t in results.tasks
    ]
    section = Section("temperatures", "Other temperatures", INTRODUCTION, parts=tuple(parts))
    return section or None


def temperature_table(results: Results, task: str) -> Table:
    """Return the selected settings' reward and win rate against SFT at each temperature."""
    rows = of_selected(results.temperatures, results.runs, task)
    columns = (
        Column("method", "method", "text"),
        Column("temperature", "temperature"),
        Column("reward", f"{results.reward_source(task)} reward"),
        Column("win_rate", "win rate vs SFT"),
    )
    lines = [
        {
            "method": results.marked(method),
            "temperature": parameter(float(str(temperature))),
            "reward": number(group["reward"].mean()),
            "win_rate": percent(group["win_rate_sft"].mean()),
        }
        for temperature, at_temperature in rows.groupby("temperature", sort=False)
        for method in table_order(results, task)
        if len(group := at_temperature[at_temperature["method"] == method])
    ]
    return Table.of(columns, [*lines, *failed_rows(results, task, columns)] if lines else [])

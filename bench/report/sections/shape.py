"""What the responses are like: length, diversity, and modes, beside the optimum's."""

from __future__ import annotations

from bench.analysis.averages import complete_mean
from bench.analysis.selection import of_selected, selected_rows, table_order
from bench.report.content.display import number, percent, tokens
from bench.report.content.failures import failed_rows
from bench.report.content.section import Column, Part, Section, Table
from bench.results.loading import Results

INTRODUCTION = (
    "Mean length of the responses, and the length that the reward's own optimum has at the "
    "same KL: a method with longer responses gained from length. Entropy (nats) and distinct-2 "
    "show how varied the responses are. Where all responses can be listed, the modes are the "
    "fewest responses that hold half of that optimum. A policy with less probability on them has "
    "settled elsewhere; one with more has collapsed onto them."
)
COLUMNS = (
    Column("method", "method", "text"),
    Column("tokens", "response tokens"),
    Column("optimum_tokens", "tokens of the optimum"),
    Column("entropy", "entropy (nats)"),
    Column("distinct_2", "distinct-2"),
)
MODE_COLUMNS = (
    Column("mode_mass", "probability of the modes"),
    Column("optimum_mode_mass", "that of the optimum"),
)


def shape_section(results: Results) -> Section | None:
    """Return the section; None where no optimum is known."""
    parts = [
        Part(results.task_title(task), task=task, tables=(table,))
        for task in results.tasks
        if (table := shape_table(results, task))
    ]
    if not parts:
        return None
    return Section("shape", "Length and diversity", INTRODUCTION, parts=tuple(parts))


def shape_table(results: Results, task: str) -> Table:
    """Return length, diversity and modes of a task's selected settings beside the optimum's."""
    optima = of_selected(results.optimum, results.runs, task)
    if optima.empty:
        return Table.of(COLUMNS, [])
    rows, lines = selected_rows(results.runs, task), []
    known = set(rows["method"])
    for method in (m for m in table_order(results, task) if m in known):
        policies, optimum = rows[rows["method"] == method], optima[optima["method"] == method]
        lines.append(
            {
                "method": results.marked(method),
                "tokens": tokens(policies["response_tokens"].mean()),
                "optimum_tokens": tokens(complete_mean(optimum["optimum_tokens"])),
                "entropy": number(policies["entropy"].mean()),
                "distinct_2": number(policies["distinct_2"].mean()),
                "mode_mass": percent(complete_mean(optimum["mode_mass"])),
                "optimum_mode_mass": percent(complete_mean(optimum["optimum_mode_mass"])),
            }
        )
    modes = MODE_COLUMNS if optima["mode_mass"].notna().any() else ()
    columns = (*COLUMNS, *modes)
    return Table.of(columns, [*lines, *failed_rows(results, task, columns)])

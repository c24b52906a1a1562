"""What the responses are like: length, diversity, and modes, beside the optimum's."""

from __future__ import annotations

from bench.analysis.averages import complete_mean
from bench.analysis.selection import of_selected, selected_rows, table_order
from bench.report.content.display import number, percent, tokens
from bench.report.content.failures import failed_rows
from bench.report.content.section import Column, Part, Section, Table
from bench.results.loading import Results

INTRODUCTION = (
    "How long and how varied the responses are. A method whose responses are longer than those of "
    "the reward's own optimum at the same KL gained from length."
)
COLUMNS = (
    Column("method", "method", "text"),
    Column("tokens", "response tokens"),
    Column(
        "optimum_tokens",
        "tokens of the optimum",
        help="Of the policy that has the most reward at the same KL.",
    ),
    Column("entropy", "entropy (nats)", help="Summed over a response: how varied responses are."),
    Column("distinct_2", "distinct-2", help="Share of two-word sequences that are different."),
)
MODE_COLUMNS = (
    Column(
        "mode_mass",
        "probability of the modes",
        help="Of the fewest responses that hold half of the optimum. A policy with less settled "
        "elsewhere; one with more collapsed onto them.",
    ),
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

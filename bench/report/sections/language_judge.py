"""How language models judged the selected settings."""

from __future__ import annotations

from bench.report.content.display import count, percent
from bench.report.content.failures import failed_rows
from bench.report.content.section import Column, Part, Section, Table
from bench.results.loading import Results
from bench.results.schema import CHOSEN

INTRODUCTION = (
    "A language model is shown two responses, in both orders; ties count half. Comparisons with an "
    "answer that cannot be read are counted and left out, never guessed. The share of answers that "
    "prefer the response shown first is the judge's position bias: 50% is none."
)
COLUMNS = (
    Column("method", "method", "text"),
    Column("opponent", "against", "text"),
    Column("judge", "judge", "text"),
    Column("win_rate", "win rate"),
    Column("win_rate_lc", "at equal length"),
    Column("prompts", "comparisons"),
    Column("unparsable", "unparsable", help="Comparisons with an answer that cannot be read."),
    Column("failed", "failed", help="Comparisons without an answer."),
    Column("first_preferred", "first preferred"),
    Column("consistent", "both orders agree"),
    Column("seeds", "seeds"),
)


def language_judge_section(results: Results) -> Section | None:
    """Return the win rates that language models gave; None where none was asked."""
    parts = [
        Part(results.task_title(task), task=task, tables=(table,))
        for task in results.tasks
        if (table := language_judge_table(results, task))
    ]
    if not parts:
        return None
    title = "Judged by a language model"
    return Section("language-judge", title, INTRODUCTION, parts=tuple(parts))


def language_judge_table(results: Results, task: str) -> Table:
    """Return how language models judged a task's selected settings, means over seeds."""
    rows = results.llm_judge
    rows = rows[(rows["task"] == task) & (rows["method"] != CHOSEN)]
    groups = rows.groupby(["judge", "method", "opponent"], sort=False)
    lines = [
        {
            "method": results.marked(str(method)),
            "opponent": opponent,
            "judge": judge,
            "win_rate": percent(seeds["win_rate"].mean()),
            "win_rate_lc": percent(seeds["win_rate_lc"].mean()),
            "prompts": count(seeds["prompts"].sum()),
            "unparsable": count(seeds["unparsable"].sum()),
            "failed": count(seeds["failed"].sum()),
            "first_preferred": percent(seeds["first_preferred"].mean()),
            "consistent": percent(seeds["consistent"].mean()),
            "seeds": count(seeds["seed"].nunique()),
        }
        for (judge, method, opponent), seeds in groups
    ]
    return Table.of(COLUMNS, [*lines, *failed_rows(results, task, COLUMNS)] if lines else [])

"""`prefrontier judge`: an LLM's verdicts on a results folder."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bench.config.llm_judge import LLMJudge
from bench.results.schema import LLM_JUDGE

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

MISSING = "-"


def run_judge(folder: Path, settings: LLMJudge) -> int:
    """Judge a results folder and print what came out; return the exit status (1: some failed)."""
    from rich.console import Console

    from bench.judging.folder import judge_folder, read_rows
    from bench.cache.store import default_store

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    try:
        status = judge_folder(folder, settings, default_store().root, console)
    except KeyboardInterrupt:
        console.print("interrupted: the answers are kept; the same command goes on from here")
        return 130
    file = folder / LLM_JUDGE.file
    rows = read_rows(file)
    rows = rows[rows["judge"] == settings.model]
    for task, own in rows.groupby("task", sort=False):
        console.print(task_table(str(task), own[own["seed"] != ""]))
    for line in summary(rows):
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"table: {file}", markup=False, soft_wrap=True)
    return status


def task_table(task: str, rows: pd.DataFrame) -> Table:
    """Return a task's rows for the terminal: means over seeds, and the error of these."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(task), title_justify="left", box=None, pad_edge=False)
    for name in ("method", "opponent"):
        table.add_column(name, no_wrap=True)
    for name in ("win rate", "length-controlled", "unparsable", "first preferred", "seeds"):
        table.add_column(name, justify="right", no_wrap=True)
    for (method, opponent), own in rows.groupby(["method", "opponent"], sort=False):
        table.add_row(
            escape(str(method)),
            str(opponent),
            with_error(own),
            # Of the same seeds as the win rate, or not at all.
            percent(mean(own["win_rate_lc"]) if all(own["win_rate_lc"]) else math.nan),
            str(sum(map(int, own["unparsable"]))),
            percent(mean(own["first_preferred"])),
            str(len(own)),
        )
    return table


def summary(rows: pd.DataFrame) -> Iterator[str]:
    """Yield how often the judge agrees with people, and what the answers took."""
    for task, own in rows[rows["seed"] == ""].groupby("task", sort=False):
        row = own.iloc[0]
        counts = f"{row['wins']} right, {row['ties']} ties, {row['losses']} wrong"
        left_out = int(row["unparsable"]) + int(row["failed"])
        yield (
            f"{task}: agrees with people on {with_error(own)} of their pairs ({counts}"
            + (f", {left_out} left out)" if left_out else ")")
        )
    total = {name: sum(map(int, rows[name])) for name in ("calls", "cached", "failed")}
    tokens = sum(map(int, rows["prompt_tokens"])), sum(map(int, rows["completion_tokens"]))
    cost = sum(map(float, rows["cost"]))
    yield (
        f"{total['calls']} calls ({total['cached']} answers were known without): "
        f"{tokens[0]} tokens read, {tokens[1]} written" + (f", ${cost:.2f}" if cost else "")
    )
    if total["failed"]:
        yield (
            f"{total['failed']} comparisons lack an answer, for requests failed: "
            "the same command asks for them again"
        )


def with_error(rows: pd.DataFrame) -> str:
    """Return the mean win rate and its standard error: over seeds, or one seed's over prompts."""
    from bench.evaluation.win_rate import sem

    rates = numbers(rows["win_rate"])
    error = sem(rates) if len(rates) > 1 else mean(rows["win_rate_sem"])
    return percent(mean(rows["win_rate"])) + (
        f" ± {percent(error)}" if math.isfinite(error) else ""
    )


def numbers(cells: Iterable[str]) -> list[float]:
    """Return the metrics in cells of llm_judge.csv, which are empty where there is none."""
    return [float(cell) for cell in cells if cell]


def mean(cells: Iterable[str]) -> float:
    """Return the mean of the metrics in cells; not a number without any."""
    found = numbers(cells)
    return sum(found) / len(found) if found else math.nan


def percent(share: float) -> str:
    return f"{100 * share:.1f}%" if math.isfinite(share) else MISSING

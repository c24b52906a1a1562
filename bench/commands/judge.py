"""`prefrontier judge`: a language model's verdicts on a results folder."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cache.files import check_can_be_made
from bench.config.llm_judge import LLMJudge
from bench.errors import UserError
from bench.interrupt import exit_status_of

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

MISSING = "-"


def judge_settings(**options: Any) -> LLMJudge:
    """Return the judge with these settings.

    Args:
        options: Fields of LLMJudge.

    Raises:
        UserError: A value is not allowed.
    """
    from pydantic import ValidationError

    from bench.config.validation import describe

    try:
        return LLMJudge(**options)
    except ValidationError as error:
        raise UserError(describe(error, "judge")) from None


def run_judge(folder: Path, settings: LLMJudge) -> int:
    """Judge a results folder and print the win rates.

    Args:
        folder: The results folder.
        settings: The judge.

    Returns:
        The exit status: 1 if a request failed, 130 or 143 if it was interrupted.

    Raises:
        UserError: There is nothing to compare, or the judge cannot be asked at all.
    """
    from rich.console import Console

    from bench.cache.default import default_store
    from bench.judging.folder import judge_folder
    from bench.results.schema import LLM_JUDGE

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    cache = default_store().root
    check_can_be_made(cache)
    try:
        status = judge_folder(folder, settings, cache, console)
    except KeyboardInterrupt as interrupt:
        console.print("interrupted: the answers are kept; the same command resumes the judging")
        return exit_status_of(interrupt)
    rows = LLM_JUDGE.read(folder)
    rows = rows[rows["judge"] == settings.model]
    for task, group in rows[rows["seed"].notna()].groupby("task", sort=False):
        console.print(task_table(str(task), group))
    for line in summary(rows):
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"table: {folder / LLM_JUDGE.file}", markup=False, soft_wrap=True)
    return status


def task_table(task: str, rows: pd.DataFrame) -> Table:
    """Return a task's table for the terminal: means over seeds with standard errors.

    Args:
        task: The task's name.
        rows: Its rows of LLM_JUDGE, one per method, opponent and seed.
    """
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(task), title_justify="left", box=None, pad_edge=False)
    for name in ("method", "opponent"):
        table.add_column(name, no_wrap=True)
    for name in ("win rate", "length-controlled", "unparsable", "first preferred", "seeds"):
        table.add_column(name, justify="right", no_wrap=True)
    for (method, opponent), group in rows.groupby(["method", "opponent"], sort=False):
        table.add_row(
            escape(str(method)),
            str(opponent),
            win_rate(group),
            # Over the same seeds as the win rate, or not at all.
            percent(group["win_rate_lc"].mean(skipna=False)),
            f"{group['unparsable'].sum():.0f}",
            percent(group["first_preferred"].mean()),
            str(len(group)),
        )
    return table


def summary(rows: pd.DataFrame) -> Iterator[str]:
    """Yield how often the judge agrees with people, and what the answers used.

    Args:
        rows: A judge's rows of LLM_JUDGE.
    """
    for task, group in rows[rows["seed"].isna()].groupby("task", sort=False):
        row = group.iloc[0]
        counts = f"{row['wins']:.0f} right, {row['ties']:.0f} ties, {row['losses']:.0f} wrong"
        if left_out := row["unparsable"] + row["failed"]:
            counts += f", {left_out:.0f} left out"
        yield f"{task}: agrees with people on {win_rate(group)} of their pairs ({counts})"
    names = ("calls", "cached", "failed", "prompt_tokens", "completion_tokens")
    total = {name: int(rows[name].sum()) for name in names}
    cost = rows["cost"].sum()
    yield (
        f"{total['calls']} calls ({total['cached']} more answers were in the cache): "
        f"{total['prompt_tokens']} tokens read, {total['completion_tokens']} written"
        + (f", ${cost:.2f}" if cost else "")
    )
    if total["failed"]:
        yield (
            f"{total['failed']} comparisons have no answer because requests failed; "
            "the same command asks again"
        )


def win_rate(rows: pd.DataFrame) -> str:
    """Return the mean win rate and its standard error: over seeds, or one seed's over prompts."""
    from bench.evaluation.win_rate import sem

    rates = rows["win_rate"].dropna().tolist()
    error = sem(rates) if len(rates) > 1 else rows["win_rate_sem"].mean()
    return percent(rows["win_rate"].mean()) + (
        f" ± {percent(error)}" if math.isfinite(error) else ""
    )


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal."""
    return f"{100 * share:.1f}%" if math.isfinite(share) else MISSING

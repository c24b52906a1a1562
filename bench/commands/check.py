"""`prefrontier check`: a row for each check."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.config.catalog import find_method, left_out, named
from bench.checks.registry import Outcome

STYLES = {
    "passes": "green",
    "fails": "bold red",
    "fails as expected": "yellow",
    "does not apply": "dim",
}


def run_checks(names: Sequence[str]) -> int:
    """Check the methods and print what came of it; return the exit status (1: one failed)."""
    kinds = {name: find_method(name, "check") for name in named(names)}
    broken = left_out(names)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # Imported here: these bring in torch, and a wrong name should not wait for it.
    from bench.checks import CHECKS, run_check
    from bench.execution.executors import silence_libraries

    silence_libraries()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    failed = len(broken)
    for name, why in broken.items():
        console.print(f"{name} cannot be imported: {why}", style="red", markup=False)
    for name, kind in kinds.items():
        with console.status(f"{name} is trained on a tiny pipeline"):
            outcomes = [run_check(one, kind) for one in CHECKS.values()]
        console.print(table(name, outcomes))
        failed += any(outcome.verdict == "fails" for outcome in outcomes)
    if (total := len(kinds) + len(broken)) > 1:
        console.print(f"{total - failed} of {total} methods pass")
    return 1 if failed else 0


def table(name: str, outcomes: Sequence[Outcome]) -> Table:
    """Return a row for each check: its name, its verdict, and why where it is not a pass."""
    rows = Table("check", "verdict", "why", title=name, title_justify="left", box=None)
    for outcome in outcomes:
        style = STYLES[outcome.verdict]
        verdict = f"[{style}]{outcome.verdict}[/]"
        rows.add_row(outcome.check.name, verdict, escape(outcome.why))
    return rows

"""`prefrontier check`: the conformance checks of methods, as a table."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.config.catalog import expand_all, find_method, not_in_all

if TYPE_CHECKING:
    from bench.checks.registry import Outcome, Status

STYLES = {
    "passes": "green",
    "fails": "bold red",
    "fails as expected": "yellow",
    "does not apply": "dim",
}


def run_checks(names: Sequence[str]) -> int:
    """Check methods and print the outcomes; return the exit status (1 if a method fails).

    Args:
        names: The methods' names; `all` stands for every method.

    Raises:
        UserError: A name is unknown.
    """
    methods = {name: find_method(name, "check") for name in expand_all(names)}
    broken = not_in_all(names)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # These import torch, for which a message about a wrong name should not wait.
    from bench.checks import CHECKS, run_check
    from bench.execution.executors.process import silence_libraries

    silence_libraries()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    failed = len(broken)
    for name, reason in broken.items():
        console.print(f"{name} cannot be imported: {reason}", style="red", markup=False)
    for name, method in methods.items():
        with console.status(f"training {name} on a tiny task"):
            outcomes = [run_check(check, method) for check in CHECKS.values()]
        console.print(table(name, outcomes))
        failed += any(outcome.status == "fails" for outcome in outcomes)
    if (total := len(methods) + len(broken)) > 1:
        console.print(f"{total - failed} of {total} methods pass")
    return 1 if failed else 0


def table(name: str, outcomes: Sequence[Outcome]) -> Table:
    """Return a table of a method's outcomes, with the reason of all but passes.

    Checks that an exception kept from running share a row for each reason.
    """
    rows = Table("check", "status", "reason", title=name, title_justify="left", box=None)

    def add(check: str, status: Status, reason: str) -> None:
        rows.add_row(check, f"[{STYLES[status]}]{status}[/]", escape(reason))

    for outcome in outcomes:
        if not outcome.blocked:
            add(outcome.check.name, outcome.status, outcome.reason)
    for reason, count in Counter(o.reason for o in outcomes if o.blocked).items():
        add("1 other check" if count == 1 else f"{count} other checks", "does not apply", reason)
    return rows

"""Sentences and rows on runs that failed or diverged."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bench.analysis.failures import Failure, failures, missing_seeds, started_runs
from bench.report.content.display import MISSING, count, listed
from bench.report.content.section import Column
from bench.results.loading import Results

# More reasons than this are only counted.
MOST_REASONS = 4
# Of kinds of errors that tell a reader nothing.
PLAIN = re.compile(r"\b(RuntimeError|ValueError|Diverged|StepTooLargeError): ")


def failure_statement(results: Results, task: str) -> str:
    """Say which methods have no result at all; nothing where each has one."""
    started = started_runs(results.runs, task)
    failed = results.failed(task)
    if not failed:
        return ""
    if len(failed) == 1:
        runs = started[failed[0]]
        none = "its only run did not finish" if runs == 1 else f"none of its {runs} runs finished"
        return f"{failed[0]} failed: {none}."
    if len(failed) == len(started):
        return "Every method failed: no run finished."
    return f"{listed(failed)} failed: none of their runs finished."


def failure_warnings(results: Results, task: str) -> list[str]:
    """Say why runs did not finish, and whose numbers lack a seed that others have."""
    reasons, started = failures(results.runs, task), started_runs(results.runs, task)
    warnings = [_reason(failure, started) for failure in reasons[:MOST_REASONS]]
    if others := reasons[MOST_REASONS:]:
        lost = sum(sum(failure.runs.values()) for failure in others)
        warnings.append(
            f"{count(lost)} more runs did not finish, for {len(others)} other reasons (see "
            "Failures)."
        )
    return warnings + _missing_warnings(results, task)


def _reason(failure: Failure, started: Mapping[str, int]) -> str:
    """Return who failed how often, and why, as in "ppo failed in 2 of 6 runs: no memory."."""
    verb = "diverged" if failure.status == "diverged" else "failed"
    (first, lost), *others = failure.runs.items()
    parts = [f"{first} {verb} in {count(lost)} of {_runs(started[first])}"]
    parts += [f"{method} in {count(n)} of {count(started[method])}" for method, n in others]
    return f"{listed(parts)}: {PLAIN.sub('', failure.error).rstrip('.') or 'no reason is known'}."


def _runs(started: int) -> str:
    return f"{count(started)} run{'' if started == 1 else 's'}"


def _missing_warnings(results: Results, task: str) -> list[str]:
    missing = missing_seeds(results.runs, task)
    if not missing:
        return []
    (first, seeds), *others = missing.items()
    parts = [f"The numbers of {first} leave out {_seeds(seeds)}"]
    parts += [f"those of {method} {_seeds(seeds)}" for method, seeds in others]
    unranked = [method for method in missing if method not in results.privileged]
    rank = f" No rank for {listed(unranked)}." if unranked else ""
    return [
        f"{listed(parts)}, which other methods finished. Differences between two methods are over "
        f"the seeds that both finished.{rank}"
    ]


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'' if len(seeds) == 1 else 's'} {listed([str(seed) for seed in seeds])}"


def failed_rows(
    results: Results, task: str, columns: Sequence[Column], name: str = "method"
) -> list[dict[str, str]]:
    """Return a row without numbers for each method that would be missed in a table.

    Args:
        results: The results.
        task: The task of the table.
        columns: Of the table.
        name: The column that names the method.
    """
    dashes = {column.name: MISSING for column in columns}
    return [dashes | {name: results.marked(method, task)} for method in results.failed(task)]

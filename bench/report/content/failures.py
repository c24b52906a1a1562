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
# More names than this are counted, not listed.
MOST_NAMES = 3
# The most words of a warning, and the fewest of them that tell the reason.
MOST_WORDS, FEWEST_OF_REASON = 25, 6
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
    names = listed(failed) if len(failed) <= MOST_NAMES else f"{len(failed)} methods"
    return f"{names} failed: none of their runs finished."


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
    if len(parts) > MOST_NAMES:
        runs = sum(started[method] for method in failure.runs)
        lost = sum(failure.runs.values())
        parts = [f"{len(parts)} methods {verb} in {count(lost)} of {_runs(runs)}"]
    who = listed(parts)
    reason = PLAIN.sub("", failure.error).rstrip(".") or "no reason is known"
    room = max(FEWEST_OF_REASON, MOST_WORDS - len(who.split()))
    words = reason.split()
    cut = " ".join(words[: room - 3]) + " … (see Failures)" if len(words) > room else reason
    return f"{who}: {cut}."


def _runs(started: int) -> str:
    return f"{count(started)} run{'' if started == 1 else 's'}"


def _missing_warnings(results: Results, task: str) -> list[str]:
    missing = missing_seeds(results.runs, task)
    if not missing:
        return []
    names = list(missing)[:MOST_NAMES]
    lost = [f"{method} ({_seeds(missing[method])})" for method in names]
    lost += [f"{len(missing) - len(names)} more methods"] if len(missing) > len(names) else []
    rank = " No rank." if missing.keys() - results.privileged else ""
    return [f"Seeds lost: {listed(lost)}. Differences are over shared seeds.{rank}"]


def _seeds(seeds: Sequence[int]) -> str:
    few = len(seeds) <= MOST_NAMES
    return ", ".join(map(str, seeds)) if few else f"{len(seeds)} seeds"


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

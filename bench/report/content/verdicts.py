"""Verdicts in words: what was tested, by how much a method is ahead, and what would tell."""

from __future__ import annotations

from bench.analysis.contrasts import (
    Comparison,
    Contrast,
    all_with_verdict,
    declared,
    number_of_contrasts,
    seeds_to_tell,
    with_verdict,
)
from bench.analysis.selection import order_by_validation
from bench.analysis.statistics import (
    MOST_SEEDS,
    SEEDS_FOR_VERDICT,
    Interval,
    seeds_for_verdict,
)
from bench.report.content.display import MISSING, bracketed, listed, p_value
from bench.results.loading import Results

# The most contrasts that the answer has a sentence on, besides the first.
MOST_SENTENCES = 3
# With a larger share of a difference's variance, seeds or prompts are named as its main source.
MAIN_SOURCE = 0.5


def verdict_statement(results: Results, task: str) -> str:
    """Return the verdict on the first contrast that may have one, with its size, in words."""
    comparisons = with_verdict(results, task)
    if not comparisons and declared(results):
        return "No verdict: no declared contrast is between two methods that ran on this task."
    if not comparisons:
        [only, *_] = order_by_validation(results.runs, task, results.privileged)
        if set(results.failed(task)) - results.privileged:
            return f"No verdict: only {only} finished."
        return f"No verdict: there is no other method to compare {only} with."
    return _sentence(results, comparisons[0])


def other_verdicts(results: Results, task: str) -> tuple[str, ...]:
    """Return the verdicts on the other contrasts, a sentence each; of many, only the first ones."""
    others = with_verdict(results, task)[1:]
    sentences = [_sentence(results, comparison) for comparison in others[:MOST_SENTENCES]]
    if rest := len(others) - len(sentences):
        sentences.append(f"{rest} more verdicts are under Contrasts.")
    return tuple(sentences)


def unreachable_verdict_warnings(results: Results, task: str) -> list[str]:
    """Warn where too many contrasts are tested for any to be confirmed with these seeds."""
    by_task, contrasts = all_with_verdict(results), number_of_contrasts(results)
    seeds = max((c.contrast.difference.n for group in by_task.values() for c in group), default=0)
    needed = seeds_for_verdict(contrasts)
    if not SEEDS_FOR_VERDICT <= seeds < needed:
        return []
    return [
        f"No verdict is possible: with {contrasts} contrasts and {seeds} seeds, p cannot fall "
        f"below {p_value(contrasts * 2 / 2**seeds)}. Run {needed} seeds, or test fewer contrasts."
    ]


def _sentence(results: Results, comparison: Comparison) -> str:
    """Return what the test says, and by how much the one method is ahead of the other."""
    contrast, verdict = comparison.contrast, comparison.verdict
    seeds, behind = contrast.difference.n, contrast.difference.mean < 0
    names = [comparison.method, comparison.other]
    ahead, other = (results.marked(method) for method in (names[::-1] if behind else names))
    if unfinished := _unfinished(comparison):
        have = "has" if len(unfinished) == 1 else "have"
        return (
            f"No verdict on {comparison.method} and {comparison.other}: {listed(unfinished)} "
            f"{have} no result."
        )
    size = f"{ahead} ahead of {other} by {_size(contrast)}"
    if verdict == "too few seeds":
        needed = seeds_for_verdict(number_of_contrasts(results))
        few = f"Too few seeds for a verdict ({seeds} of {needed})"
        return f"{few}: {size}." if seeds else f"{few}: none has both {ahead} and {other}."
    if verdict == "no prompts":
        return (
            f"No verdict: samples.parquet lacks the rewards of {ahead} or {other} on each test "
            "prompt."
        )
    if verdict == "lost seeds":
        lost = contrast.lost[behind]
        return f"No verdict: {size} on {seeds} seeds, but it lost {lost} that {other} finished."
    if verdict == "none":
        return (
            f"Inconclusive: {size}, {_p(results, comparison)}; {_would_tell(results, comparison)}."
        )
    return f"{ahead} is better than {other} by {_size(contrast)} ({_p(results, comparison)})."


def _size(contrast: Contrast) -> str:
    """Return the size of a difference, whichever method is ahead, with its interval."""
    mean, low, high, n = contrast.difference
    return bracketed(Interval(-mean, -high, -low, n) if mean < 0 else contrast.difference)


def _p(results: Results, comparison: Comparison) -> str:
    """Return the p of a contrast, with the correction that it got."""
    shown = p_value(comparison.holm_p)
    name = "Holm p" if number_of_contrasts(results) > 1 else "p"
    return f"{name} {shown[0]} {shown[1:]}" if shown.startswith("<") else f"{name} = {shown}"


def _would_tell(results: Results, comparison: Comparison) -> str:
    """Say how many seeds would confirm the difference, or that prompts would."""
    prompts = comparison.contrast.over_prompts
    if prompts and prompts.from_prompts > MAIN_SOURCE:
        return "more prompts would tell"
    seeds = seeds_to_tell(comparison, number_of_contrasts(results))
    return (
        f"about {seeds} seeds would tell" if seeds else f"more than {MOST_SEEDS} seeds are needed"
    )


def _unfinished(comparison: Comparison) -> list[str]:
    """Return which of the two methods finished no seed."""
    both, (lost, other_lost) = comparison.contrast.difference.n, comparison.contrast.lost
    finished = {comparison.method: both + other_lost, comparison.other: both + lost}
    return [method for method, seeds in finished.items() if not seeds]


def short_verdict(comparison: Comparison) -> str:
    """Return what the test says in two or three words; a dash where nothing was tested."""
    if comparison.kind != "exploratory" and (unfinished := _unfinished(comparison)):
        return f"{listed(unfinished)} failed"
    match comparison.verdict:
        case "better":
            return f"{comparison.method} is better"
        case "worse":
            return f"{comparison.other} is better"
        case "none":
            return "inconclusive"
        case None:
            return MISSING
        case verdict:
            return verdict

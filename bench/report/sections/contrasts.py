"""Every comparison of two methods: differences, tests, and verdicts where they may be given."""

from __future__ import annotations

from bench.analysis.contrasts import Comparison, exploratory, with_verdict
from bench.analysis.selection import order_by_validation
from bench.analysis.statistics import SEEDS_FOR_VERDICT, SIGNIFICANCE, seeds_for_verdict
from bench.report.content.display import MISSING, listed, number, percent, signed
from bench.report.content.section import FOLDED, Column, Part, Section, Table
from bench.results.loading import Results

INTRODUCTION = (
    "Every pair of methods: the difference in reward on test prompts with the 95% t-interval of "
    "the paired difference, and the p of the exact two-sided sign-flip test. The probability of "
    "improvement is how often a seed of the first method beats a seed of the second. Exploratory "
    "rows are not tests: among so many, some will differ by chance."
)
COLUMNS = (
    Column("contrast", "contrast", "text"),
    Column("kind", "kind", "text"),
    Column("difference", "difference"),
    Column("seeds", "seeds", help="Seeds that both methods finished."),
    Column("p", "sign-flip p"),
    Column("holm_p", "Holm p", help="p corrected for the number of declared contrasts."),
    Column("improvement", "probability of improvement"),
    Column("verdict", "verdict", "text"),
)


def contrasts_section(results: Results) -> Section | None:
    """Return the section; None where there is nothing to compare."""
    parts = [Part(results.task_title(t), tables=contrast_tables(results, t)) for t in results.tasks]
    section = Section("contrasts", "Contrasts", INTRODUCTION, parts=tuple(parts))
    return section or None


def contrast_tables(results: Results, task: str) -> tuple[Table, ...]:
    """Return a task's comparisons; many that can have no verdict are a table of their own."""
    tested, others = with_verdict(results, task), exploratory(results, task)
    if len(tested) + len(others) <= FOLDED:
        return (Table.of(COLUMNS, [_row(c) for c in tested + others]),)
    return tuple(Table.of(COLUMNS, [_row(c) for c in group]) for group in (tested, others))


def verdict_statement(results: Results, task: str) -> str:
    """Return the verdict on each contrast that may have one, in words."""
    comparisons = with_verdict(results, task)
    if not comparisons:
        [only, *_] = order_by_validation(results.runs, task, results.privileged)
        if set(results.failed(task)) - results.privileged:
            return f"No verdict: only {only} finished."
        return f"No verdict: there is no other method to compare {only} with."
    return " ".join(_sentence(results, c, len(comparisons)) for c in comparisons)


def unreachable_verdict_warnings(results: Results, task: str) -> list[str]:
    """Warn where too many contrasts are declared for any to be confirmed with these seeds."""
    contrasts = len(comparisons := with_verdict(results, task))
    seeds = max((c.contrast.difference.n for c in comparisons), default=0)
    needed = seeds_for_verdict(contrasts)
    if not SEEDS_FOR_VERDICT <= seeds < needed:
        return []
    return [
        f"No verdict is possible: {contrasts} contrasts are declared, and corrected for that "
        f"number p cannot fall below {contrasts * 2 / 2**seeds:.2g} with {seeds} seeds. Run "
        f"{needed} seeds, or declare fewer contrasts."
    ]


def _row(comparison: Comparison) -> dict[str, str]:
    contrast = comparison.contrast
    return {
        "contrast": f"{comparison.method} vs {comparison.other}",
        "kind": comparison.kind,
        "difference": signed(contrast.difference),
        "seeds": str(contrast.difference.n),
        "p": _p(contrast.p),
        "holm_p": _p(comparison.holm_p),
        "improvement": percent(contrast.improvement),
        "verdict": _short_verdict(comparison),
    }


def _sentence(results: Results, comparison: Comparison, contrasts: int) -> str:
    first, second = (results.marked(m) for m in (comparison.method, comparison.other))
    seeds, verdict = comparison.contrast.difference.n, comparison.verdict
    if unfinished := _unfinished(comparison):
        have = "has" if len(unfinished) == 1 else "have"
        return (
            f"No verdict on {comparison.method} and {comparison.other}: {listed(unfinished)} "
            f"{have} no result."
        )
    if verdict == "too few seeds":
        return (
            f"Too few seeds for a verdict: {first} and {second} share {seeds}, and "
            f"{SEEDS_FOR_VERDICT} are needed."
        )
    if verdict == "lost seeds":
        behind = comparison.contrast.difference.mean < 0
        ahead, other = (second, first) if behind else (first, second)
        return (
            f"No verdict: {ahead} is ahead of {other} on the {seeds} seeds that both finished, but "
            f"lost {comparison.contrast.lost[behind]} that {other} finished."
        )
    name = "sign-flip" if contrasts == 1 else "Holm-corrected sign-flip"
    test = f"{name} p = {_p(comparison.holm_p)}, {seeds} seeds"
    if verdict == "none":
        contains = ", but the 95% interval contains 0" if comparison.holm_p < SIGNIFICANCE else ""
        return f"No difference shown between {first} and {second} ({test}{contains})."
    better, worse = (second, first) if verdict == "worse" else (first, second)
    return f"{better} is better than {worse} ({test})."


def _unfinished(comparison: Comparison) -> list[str]:
    """Return which of the two methods finished no seed."""
    both, (lost, other_lost) = comparison.contrast.difference.n, comparison.contrast.lost
    finished = {comparison.method: both + other_lost, comparison.other: both + lost}
    return [method for method, seeds in finished.items() if not seeds]


def _short_verdict(comparison: Comparison) -> str:
    if comparison.kind != "exploratory" and (unfinished := _unfinished(comparison)):
        return f"{listed(unfinished)} failed"
    match comparison.verdict:
        case "better":
            return f"{comparison.method} is better"
        case "worse":
            return f"{comparison.other} is better"
        case "none":
            return "no difference shown"
        case None:
            return MISSING
        case verdict:
            return verdict


def _p(p: float) -> str:
    return number(p, 3)

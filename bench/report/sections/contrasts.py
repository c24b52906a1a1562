"""Every comparison of two methods: differences, tests, and verdicts where they may be given."""

from __future__ import annotations

import math

from bench.analysis.contrasts import (
    Comparison,
    Contrast,
    all_with_verdict,
    exploratory,
    with_verdict,
)
from bench.analysis.selection import SelectedRewards, order_by_validation, selected_rewards
from bench.analysis.statistics import SEEDS_FOR_VERDICT, SIGNIFICANCE, seeds_for_verdict
from bench.report.content.display import MISSING, count, listed, number, percent, signed
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
    Column(
        "holm_p",
        "Holm p",
        help="The largest p, corrected for the number of contrasts on all tasks together.",
    ),
    Column("improvement", "probability of improvement"),
    Column("verdict", "verdict", "text"),
)
PROMPTS = Column("prompts", "prompts", help="Test prompts that all seeds share.")
TWO_WAY_P = Column("two_way_p", "two-way p", help="p of the difference over seeds and prompts.")
# With a larger share of a difference's variance, seeds or prompts are named as its main source.
MOST = 0.5


def contrasts_section(results: Results) -> Section | None:
    """Return the section; None where there is nothing to compare."""
    parts = [
        Part(
            results.task_title(task),
            task=task,
            paragraphs=(*prompts_note(results, task), *_main_sources(results, task)),
            tables=contrast_tables(results, task),
        )
        for task in results.tasks
    ]
    section = Section("contrasts", "Contrasts", INTRODUCTION, parts=tuple(parts))
    return section or None


def contrast_tables(results: Results, task: str) -> tuple[Table, ...]:
    """Return a task's comparisons; many that can have no verdict are a table of their own."""
    first, others = with_verdict(results, task), exploratory(results, task)
    groups = (first, others) if len(first) + len(others) > FOLDED else (first + others,)
    columns = _columns(results.has_sampled_prompts(task))
    return tuple(Table.of(columns, [_row(c) for c in group]) for group in groups)


def _columns(sampled_prompts: bool) -> list[Column]:
    """Return the table's columns, with those of prompts where the prompts are a sample."""
    columns = list(COLUMNS)
    if sampled_prompts:
        names = [column.name for column in COLUMNS]
        columns.insert(1 + names.index("p"), TWO_WAY_P)
        columns.insert(1 + names.index("seeds"), PROMPTS)
    return columns


def prompts_note(results: Results, task: str) -> tuple[str, ...]:
    """Say what intervals rest on where all seeds share a sample of prompts."""
    if not results.has_sampled_prompts(task):
        return ()
    seeds, prompts = _numbers(selected_rewards(results, task))
    if not prompts:
        text = (
            "samples.parquet lacks the rewards on each test prompt, so there are no intervals for "
            "other prompts, and no verdicts."
        )
    elif seeds == 1:
        text = (
            f"Intervals are over {count(prompts)} test prompts, for this one training: one seed "
            "cannot tell how much another training would differ."
        )
    else:
        text = (
            f"All {seeds} seeds share {count(prompts)} test prompts, a sample from the data. "
            "Intervals are for other seeds and other prompts together (two-way analysis of "
            "variance)."
        )
    return (text,)


def _numbers(rewards: SelectedRewards) -> tuple[int, int]:
    """Return the numbers of seeds and prompts of a task whose prompts are a sample."""
    tables = (rewards.by_prompt or {}).values()
    return len(rewards.by_seed), max((table.shape[1] for table in tables), default=0)


def _main_sources(results: Results, task: str) -> tuple[str, ...]:
    """Say of each tested contrast whether seeds or prompts make most of its uncertainty."""
    sentences = []
    for comparison in with_verdict(results, task):
        prompts = comparison.contrast.over_prompts
        sources = {"prompts": prompts.from_prompts, "seeds": prompts.from_seeds} if prompts else {}
        sentences += [
            f"Most of the uncertainty of {comparison.method} vs {comparison.other} comes from the "
            f"{source} ({percent(share)} of the variance)."
            for source, share in sources.items()
            if share > MOST
        ]
    return (" ".join(sentences),) if sentences else ()


def rests_on(contrast: Contrast) -> str:
    """Return what a contrast rests on, such as "6 seeds and 64 prompts"."""
    seeds = contrast.difference.n
    text = f"{seeds} seed{'' if seeds == 1 else 's'}"
    if not contrast.over_prompts or not contrast.over_prompts.prompts:
        return text
    return f"{text} and {count(contrast.over_prompts.prompts)} prompts"


def verdict_statement(results: Results, task: str) -> str:
    """Return the verdict on each contrast that may have one, in words."""
    comparisons = with_verdict(results, task)
    if not comparisons:
        [only, *_] = order_by_validation(results.runs, task, results.privileged)
        if set(results.failed(task)) - results.privileged:
            return f"No verdict: only {only} finished."
        return f"No verdict: there is no other method to compare {only} with."
    contrasts = sum(map(len, all_with_verdict(results).values()))
    return " ".join(_sentence(results, c, contrasts) for c in comparisons)


def unreachable_verdict_warnings(results: Results, task: str) -> list[str]:
    """Warn where too many contrasts are tested for any to be confirmed with these seeds."""
    by_task = all_with_verdict(results)
    contrasts = sum(map(len, by_task.values()))
    seeds = max((c.contrast.difference.n for group in by_task.values() for c in group), default=0)
    needed = seeds_for_verdict(contrasts)
    if not SEEDS_FOR_VERDICT <= seeds < needed:
        return []
    tasks = f" on {len(by_task)} tasks" if len(by_task) > 1 else ""
    return [
        f"No verdict is possible: {contrasts} contrasts are tested{tasks}, and corrected for that "
        f"number p cannot fall below {contrasts * 2 / 2**seeds:.2g} with {seeds} seeds. Run "
        f"{needed} seeds, or test fewer contrasts."
    ]


def _row(comparison: Comparison) -> dict[str, str]:
    contrast = comparison.contrast
    return {
        "contrast": f"{comparison.method} vs {comparison.other}",
        "kind": comparison.kind,
        "difference": signed(contrast.difference),
        "seeds": str(contrast.difference.n),
        "prompts": count(contrast.over_prompts.prompts if contrast.over_prompts else math.nan),
        "p": _p(contrast.sign_flip_p),
        "two_way_p": _p(contrast.over_prompts.p if contrast.over_prompts else math.nan),
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
    if verdict == "no prompts":
        return (
            f"No verdict: samples.parquet lacks the rewards of {first} or {second} on each test "
            "prompt."
        )
    if verdict == "lost seeds":
        behind = comparison.contrast.difference.mean < 0
        ahead, other = (second, first) if behind else (first, second)
        return (
            f"No verdict: {ahead} is ahead of {other} on the {seeds} seeds that both finished, but "
            f"lost {comparison.contrast.lost[behind]} that {other} finished."
        )
    names = ["Holm-corrected"] if contrasts > 1 else []
    names += [] if comparison.contrast.over_prompts else ["sign-flip"]
    test = f"{' '.join([*names, 'p'])} = {_p(comparison.holm_p)}, {rests_on(comparison.contrast)}"
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

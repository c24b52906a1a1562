"""Every comparison of two methods: differences, tests, and verdicts where they may be given."""

from __future__ import annotations

import math

from bench.analysis.contrasts import Comparison, exploratory, with_verdict
from bench.analysis.selection import SelectedRewards, selected_rewards
from bench.report.content.display import count, p_value, percent, signed
from bench.report.content.section import Column, Part, Section, Table
from bench.report.content.verdicts import MAIN_SOURCE, short_verdict
from bench.results.loading import Results

INTRODUCTION = (
    "Differences in reward on test prompts, paired by seed, with 95% intervals. Exploratory "
    "comparisons are not tested: among so many, some differ by chance."
)
EXPLORATORY = "Exploratory comparisons"
COLUMNS = (
    Column("contrast", "contrast", "text"),
    Column("kind", "kind", "text"),
    Column("difference", "difference", help="First less second method, with its 95% interval."),
    Column("seeds", "seeds", help="Seeds that both methods finished."),
    Column("p", "sign-flip p", help="Of the exact two-sided sign-flip test, not corrected."),
    Column(
        "holm_p",
        "Holm p",
        help="The largest p, corrected for the number of contrasts on all tasks together.",
    ),
    Column(
        "improvement",
        "probability of improvement",
        help="How often a seed of the first method beats a seed of the second.",
    ),
    Column("verdict", "verdict", "text"),
)
PROMPTS = Column("prompts", "prompts", help="Test prompts that all seeds share.")
TWO_WAY_P = Column("two_way_p", "two-way p", help="p of the difference over seeds and prompts.")


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
    """Return a task's comparisons: those that were tested, and folded those that were not."""
    columns = tuple(_columns(results.has_sampled_prompts(task)))
    groups = (with_verdict(results, task), exploratory(results, task))
    tested, others = (tuple(_row(comparison) for comparison in group) for group in groups)
    return Table.of(columns, tested), Table(columns, others, folded=True, title=EXPLORATORY)


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
            "samples.parquet lacks the rewards on each test prompt: no intervals for other "
            "prompts, and no verdicts."
        )
    elif seeds == 1:
        text = (
            f"Intervals are over {count(prompts)} test prompts, for this one training; another "
            "may differ."
        )
    else:
        text = (
            f"Intervals are for other seeds and other prompts: {seeds} seeds share "
            f"{count(prompts)} test prompts, a sample from the data."
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
            if share > MAIN_SOURCE
        ]
    return (" ".join(sentences),) if sentences else ()


def _row(comparison: Comparison) -> dict[str, str]:
    contrast = comparison.contrast
    return {
        "contrast": f"{comparison.method} vs {comparison.other}",
        "kind": comparison.kind,
        "difference": signed(contrast.difference),
        "seeds": count(contrast.difference.n),
        "prompts": count(contrast.over_prompts.prompts if contrast.over_prompts else math.nan),
        "p": p_value(contrast.sign_flip_p),
        "two_way_p": p_value(contrast.over_prompts.p if contrast.over_prompts else math.nan),
        "holm_p": p_value(comparison.holm_p),
        "improvement": percent(contrast.improvement),
        "verdict": short_verdict(comparison),
    }

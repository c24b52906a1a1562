"""The answer in words. Verdicts are for declared contrasts; everything else is an interval."""

from __future__ import annotations

import math

import pandas as pd

from bench.analysis.contrasts import declared, number_of_contrasts
from bench.analysis.selection import order_by_validation, selected_rows
from bench.analysis.statistics import SIGNIFICANCE, seeds_for_verdict
from bench.analysis.temperatures import better_without_training
from bench.report.content.display import listed, number, parameter, percent
from bench.report.content.effort import (
    MOST_NAMES,
    edge_warnings,
    effort_warnings,
    one_setting_each,
    reward_model_warnings,
)
from bench.report.content.facts import facts
from bench.report.content.failures import failure_statement, failure_warnings
from bench.report.content.responses import cut_warnings, repeated_warnings
from bench.report.content.section import Part, Section
from bench.report.content.verdicts import (
    other_verdicts,
    unreachable_verdict_warnings,
    verdict_statement,
)
from bench.report.sections.judge import judge_warnings
from bench.results.loading import Results

SELECTED = (
    "Settings are selected on the seeds that are tested: their gains are a little optimistic."
)
ONE_SETTING = "Every method was tried at one setting; at another, the order might differ."
# A mean efficiency just above 1 is sampling error; further above, the frontier is wrong.
EFFICIENCY_ALARM = 1.02


def answer_section(results: Results) -> Section:
    """Return the section: a verdict, warnings and the numbers behind it for each task."""
    return Section(
        "answer",
        "Answer",
        f"{_verdict_note(results)} {_selection_note(results)}",
        parts=tuple(answer(results, task) for task in results.tasks),
    )


def _verdict_note(results: Results) -> str:
    """Say which comparisons receive a verdict, how many they are, and by which test."""
    pairs = [" vs ".join(pair) for pair in declared(results)]
    named = listed(pairs) if len(pairs) <= MOST_NAMES else f"{len(pairs)} contrasts"
    which = (
        f"Only declared contrasts receive a verdict: {named}."
        if pairs
        else "Without declared contrasts, the two best methods on validation prompts are tested."
    )
    shared = " and prompts" if any(map(results.has_sampled_prompts, results.tasks)) else ""
    contrasts = max(1, number_of_contrasts(results))
    corrected = f", corrected for {contrasts} tests" if contrasts > 1 else ""
    return (
        f"{which} It takes {seeds_for_verdict(contrasts)} seeds, p < {SIGNIFICANCE:g} over "
        f"seeds{shared}{corrected}, and a 95% interval without 0."
    )


def _selection_note(results: Results) -> str:
    return ONE_SETTING if one_setting_each(results) else SELECTED


def answer(results: Results, task: str) -> Part:
    """Return a task's verdict as the statement, what to be wary of, and the facts behind it."""
    rows = selected_rows(results.runs, task)
    order = order_by_validation(results.runs, task, results.privileged)
    title = results.task_title(task)
    warnings = (
        *failure_warnings(results, task),
        *judge_warnings(results, task),
        *unreachable_verdict_warnings(results, task),
        *_temperature_warnings(results, task),
        *effort_warnings(results, task),
        *reward_model_warnings(results, task),
        *edge_warnings(results, task),
        *cut_warnings(results, task),
        *repeated_warnings(results, task),
        *_efficiency_warnings(rows),
    )
    statement = answer_statement(results, task)
    if not order:
        return Part(title, statement, warnings, task=task)
    paragraphs = (facts(results, task, order[0]), *other_verdicts(results, task))
    return Part(title, statement, warnings, paragraphs, task=task)


def answer_statement(results: Results, task: str) -> str:
    """Return what failed on a task, and its verdict."""
    failed = failure_statement(results, task)
    if not order_by_validation(results.runs, task, results.privileged):
        return f"No verdict. {failed or 'No contender finished a run.'}"
    return f"{failed} {verdict_statement(results, task)}".strip()


def _temperature_warnings(results: Results, task: str) -> list[str]:
    """Warn where the SFT policy alone has more reward at another temperature."""
    found = better_without_training(results, task)
    if not found:
        return []
    at = "greedily" if found.temperature == 0 else f"at temperature {parameter(found.temperature)}"
    there = ""
    if found.best != "sft" and math.isfinite(found.best_reward_there):
        there = f" {found.best} reaches {number(found.best_reward_there)} there."
    return [
        f"Sampled {at}, sft alone reaches {number(found.sft)}: more than {found.best}, the best at "
        f"temperature {parameter(found.compared_at)} ({number(found.reward)}).{there}"
    ]


def _efficiency_warnings(rows: pd.DataFrame) -> list[str]:
    means = rows.groupby("method", sort=False)["efficiency"].mean()
    above = means[means > EFFICIENCY_ALARM].sort_values(ascending=False)
    if above.empty:
        return []
    named = [f"{method} ({percent(share)})" for method, share in above[:MOST_NAMES].items()]
    named += [f"{len(above) - MOST_NAMES} more"] if len(above) > MOST_NAMES else []
    return [
        "More than the optimal gain is impossible: the frontier is estimated too low for "
        f"{listed(named)}."
    ]

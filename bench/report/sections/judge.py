"""The judge: who measures policies where no gold reward is known, and how far to believe it."""

from __future__ import annotations

import math

from bench.analysis.agreement import (
    Agreement,
    SharedErrors,
    language_model_agreement,
    shared_errors,
    stage_agreement,
)
from bench.analysis.head_to_head import head_to_head_of, length_controlled_rate
from bench.analysis.selection import selected_rows, table_order
from bench.report.content.display import MISSING, count, listed, number, percent, tokens
from bench.report.content.failures import failed_rows
from bench.report.content.section import Column, Part, Section, Table
from bench.results.loading import Results
from bench.results.schema import CHOSEN

CHANCE = 0.5
STAGES = {"judge": "the judge", "reward_model": "the reward model that methods learn from"}
INTRODUCTION = (
    "No true reward is known for recorded preferences: a judge's reward measures the policies. A "
    "judge is right only as often as it agrees with people on held-out preferences, shown with 95% "
    "intervals over prompts; 50% is chance. A method can please the judge without pleasing people, "
    "so no number here says more than the judge does."
)
ERRORS_NOTE = (
    "Errors are shared where judge and reward model are wrong on the same pairs, or have their "
    "margins between the chosen and the rejected response in common. Some of it is expected of any "
    "two: hard pairs and noisy labels of people are the same for both. The more they share beyond "
    "that, the less the judge notices when a method exploits the reward model."
)
NOTE = (
    "Win rates are the judge's, against the responses that people chose for the same test prompts; "
    "ties count half. Implicit accuracy is how often a policy's log-ratio to the SFT policy is "
    "higher for the response that people chose, on held-out pairs. It is what methods such as DPO "
    "train, and says nothing about what the policy writes."
)
AGREEMENT_COLUMNS = (
    Column("task", "task", "text"),
    Column("judge", "judge", "text"),
    Column("agreement", "agrees with people", "text", "Mean over seeds, with its 95% interval."),
    Column("preferences", "preferences", help="Number of held-out preferences."),
)
CHOSEN_COLUMNS = (
    Column("method", "method", "text"),
    Column("win_rate", "win rate vs chosen"),
    Column(
        "length_controlled",
        "at equal length",
        help="The win rate to expect if both sides' responses were equally long.",
    ),
    Column("tokens", "response tokens"),
    Column("chosen_tokens", "tokens of chosen"),
    Column("implicit_accuracy", "implicit accuracy"),
)


def judge_section(results: Results) -> Section | None:
    """Return how often judges agree with people, and how methods do against people's choices."""
    agreements = agreement_table(results)
    if not agreements:
        return None
    parts = [
        Part(f"{results.task_title(task)}: against what people chose", task=task, tables=(table,))
        for task in results.judged
        if (table := chosen_table(results, task))
    ]
    introduction = INTRODUCTION if results.judged else ""
    errors = [part for part in (errors_part(results, task) for task in results.judged) if part]
    notes = (*((ERRORS_NOTE,) if errors else ()), *((NOTE,) if parts else ()))
    sentences = tuple(judge_sentence(results, task) for task in results.judged)
    first = Part(paragraphs=sentences, tables=(agreements,))
    return Section("judge", "Judge", introduction, parts=(first, *errors, *parts), notes=notes)


def errors_part(results: Results, task: str) -> Part:
    """Return what the errors of a task's judge and reward model have in common."""
    return Part(
        f"{results.task_title(task)}: errors of judge and reward model",
        task=task,
        warnings=tuple(filter(None, [weights_warning(results, task)])),
        paragraphs=tuple(filter(None, [errors_sentence(results, task)])),
    )


def weights_warning(results: Results, task: str) -> str:
    """Return a warning where the judge has the reward model's weights."""
    warning = str(results.described("tasks").get(task, {}).get("judge_warning") or "")
    asked = results.llm_judge["task"] == task
    if warning and asked.any():
        warning += " The language model's verdicts on this page do not share them."
    return warning


def errors_sentence(results: Results, task: str) -> str:
    """Say how often judge and reward model are wrong together; nothing where it is not known."""
    shared = shared_errors(results, task)
    if shared is None:
        return ""
    pairs = count(shared.pairs)
    if not shared.judge_wrong:
        return f"The judge is wrong on none of {pairs} held-out pairs."
    correlations = [
        f"the correlation of their {what} is {number(mean)} [{number(low)}, {number(high)}]"
        for what, (mean, low, high) in (
            ("errors", shared.errors),
            ("margins", shared.margins),
        )
        if math.isfinite(mean)
    ]
    measured = listed(correlations)
    return (
        f"{_wrong_together(shared)} {measured[:1].upper()}{measured[1:]} (95% intervals over "
        f"prompts, {pairs} held-out pairs)."
    )


def _wrong_together(shared: SharedErrors) -> str:
    return (
        "Where the judge is wrong, the reward model is wrong too in "
        f"{percent(shared.wrong_with_judge)} of pairs; if they erred independently, it would be "
        f"{percent(shared.reward_model_wrong)}. Labels that people got wrong count as errors of "
        "both."
    )


def judge_sentence(results: Results, task: str) -> str:
    """Say what a task's judge is and how good it is; nothing where there is none."""
    if task not in results.judged:
        return ""
    about = results.described("tasks").get(task, {})
    agreement = stage_agreement(results, task, "judge")
    return (
        f"Policies are measured by a judge, {about.get('judge')}. It agrees with people on "
        f"{shown(agreement)} of {count(agreement.preferences)} held-out preferences (95% "
        "interval). What is said of its reward holds for this judge only."
    )


def judge_warnings(results: Results, task: str) -> list[str]:
    """Warn of a judge that has the reward model's weights, or is not shown to be right."""
    if task not in results.judged:
        return []
    warnings: list[str] = []
    shared = shared_errors(results, task)
    if weights_warning(results, task):
        then = (
            "where it is wrong, the reward model is wrong too in "
            f"{percent(shared.wrong_with_judge)} of pairs"
            if shared and shared.judge_wrong
            else "a response that fools one may fool the other"
        )
        warnings.append(f"The judge shares the reward model's weights: {then}.")
    agreement = stage_agreement(results, task, "judge")
    if not agreement.low > CHANCE:
        warnings.append(
            "The judge is not shown to be better than chance: it agrees with people on "
            f"{shown(agreement)} of {count(agreement.preferences)} preferences."
        )
    return warnings


def agreement_table(results: Results) -> Table:
    """Return how often the judge and the reward model of each task agree with people."""
    rows = [
        agreement_row(results, task, judge, stage_agreement(results, task, stage))
        for task in results.judged
        for stage, judge in STAGES.items()
    ]
    llm = results.llm_judge
    for _, row in llm[llm["method"] == CHOSEN].iterrows():
        judge = f"{row['judge']}, asked in both orders"
        rows.append(agreement_row(results, row["task"], judge, language_model_agreement(row)))
    return Table.of(AGREEMENT_COLUMNS, rows)


def agreement_row(
    results: Results, task: str, judge: str, agreement: Agreement
) -> dict[str, object]:
    """Return a row of the agreement table."""
    return {
        "task": results.task_title(task),
        "judge": judge,
        "agreement": shown(agreement),
        "preferences": count(agreement.preferences),
    }


def chosen_table(results: Results, task: str) -> Table:
    """Return how the selected settings do against the responses that people chose."""
    rows = selected_rows(results.runs, task)
    head_to_head, lines = head_to_head_of(results, task), []
    known = set(rows["method"])
    for method in (m for m in table_order(results, task) if m in known):
        seeds = rows[rows["method"] == method]
        comparisons = head_to_head[
            (head_to_head["method"] == method) & (head_to_head["opponent"] == CHOSEN)
        ]
        equal = math.nan if comparisons.empty else length_controlled_rate(comparisons)
        lines.append(
            {
                "method": results.marked(method),
                "win_rate": percent(seeds["win_rate_chosen"].mean()),
                "length_controlled": percent(equal, 1),
                "tokens": tokens(seeds["response_tokens"].mean()),
                "chosen_tokens": tokens(comparisons["opponent_tokens"].mean()),
                "implicit_accuracy": percent(seeds["implicit_accuracy"].mean()),
            }
        )
    return Table.of(CHOSEN_COLUMNS, [*lines, *failed_rows(results, task, CHOSEN_COLUMNS)])


def shown(agreement: Agreement) -> str:
    """Return the share with its interval, or a dash where there is none."""
    if not math.isfinite(agreement.low):
        return MISSING
    low, high = percent(agreement.low, 1), percent(agreement.high, 1)
    return f"{percent(agreement.share, 1)} [{low}, {high}]"

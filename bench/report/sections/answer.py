"""The answer in words. Verdicts are for declared contrasts; everything else is an interval."""

from __future__ import annotations

import math

import pandas as pd

from bench.analysis.averages import complete_mean
from bench.analysis.contrasts import Contrast, contrast, declared
from bench.analysis.regret import selected_regrets
from bench.analysis.selection import (
    lost_more_seeds,
    order_by_validation,
    select_settings,
    selected_rewards,
    selected_rows,
)
from bench.analysis.statistics import SEEDS_FOR_VERDICT, SIGNIFICANCE
from bench.report.content.display import listed, number, percent, setting
from bench.report.content.effort import (
    MOST_NAMES,
    best_of_n_sentence,
    edge_warnings,
    effort_warnings,
    one_setting_each,
    usage_sentence,
)
from bench.report.content.failures import failure_statement, failure_warnings
from bench.report.content.responses import cut_warnings, repeated_warnings
from bench.report.content.section import Part, Section
from bench.report.sections.contrasts import (
    rests_on,
    unreachable_verdict_warnings,
    verdict_statement,
)
from bench.report.sections.judge import judge_sentence, judge_warnings
from bench.results.loading import Results

TEST = (
    "The test is an exact two-sided sign-flip test on paired test-prompt differences; in "
    "addition, the 95% t-interval must exclude 0."
)
SHARED_PROMPTS = (
    " Where all seeds share a sample of prompts, p is the larger of this test's and that of a "
    "two-way analysis over seeds and prompts, whose interval must exclude 0."
)
SEEDS = (
    f"A verdict needs {SEEDS_FOR_VERDICT} seeds, since p cannot fall below {SIGNIFICANCE} with "
    "fewer. Every other comparison on this page is exploratory: an interval without a verdict."
)
SELECTED = (
    "Settings are selected on the same seeds that are tested, with other prompts, so gains of "
    "selected settings are still slightly optimistic."
)
ONE_SETTING = "Every method was tried at one setting; at another, the order might differ."
DECLARED_NOTE = (
    "Only declared contrasts receive a verdict: {declared}. "
    f"{TEST}{{shared}} Its p is corrected for the number of declared contrasts on all tasks "
    f"together (Holm). {SEEDS}"
)
CORRECTED = "Its p is corrected for the number of tasks (Holm)."
NOT_CORRECTED = "With one contrast, p needs no correction."
PRIMARY_NOTE = (
    "No contrast is declared, so one comparison for each task receives a verdict: the best method "
    "against the second best, as ordered on validation prompts, privileged "
    f"methods aside. {TEST}{{shared}} {{corrected}} {SEEDS}"
)
# A mean efficiency just above 1 is sampling error; further above, the frontier is wrong.
EFFICIENCY_ALARM = 1.02
MOST_REGRETS = 6


def answer_section(results: Results) -> Section:
    """Return the section: a verdict, warnings and the numbers behind it for each task."""
    return Section(
        "answer",
        "Answer",
        parts=tuple(answer(results, task) for task in results.tasks),
        notes=(f"{_verdict_note(results)} {_selection_note(results)}",),
    )


def _verdict_note(results: Results) -> str:
    """Say which comparisons receive a verdict, how many they are, and by which test."""
    pairs = [" vs ".join(pair) for pair in declared(results)]
    shared = SHARED_PROMPTS if any(map(results.has_sampled_prompts, results.tasks)) else ""
    if not pairs:
        corrected = CORRECTED if len(results.tasks) > 1 else NOT_CORRECTED
        return PRIMARY_NOTE.format(shared=shared, corrected=corrected)
    named = listed(pairs) if len(pairs) <= MOST_NAMES else f"{len(pairs)} pairs of methods"
    counted = f"{len(pairs)}, " if 1 < len(pairs) <= MOST_NAMES else ""
    return DECLARED_NOTE.format(declared=counted + named, shared=shared)


def _selection_note(results: Results) -> str:
    return ONE_SETTING if one_setting_each(results) else SELECTED


def answer(results: Results, task: str) -> Part:
    """Return a task's verdict as the statement, what to be wary of, and the numbers behind it."""
    rows = selected_rows(results.runs, task)
    order = order_by_validation(results.runs, task, results.privileged)
    title = results.task_title(task)
    warnings = (
        *failure_warnings(results, task),
        *judge_warnings(results, task),
        *unreachable_verdict_warnings(results, task),
        *effort_warnings(results, task),
        *edge_warnings(results, task),
        *cut_warnings(results, task),
        *repeated_warnings(results, task),
        *_efficiency_warnings(rows),
    )
    failed = failure_statement(results, task)
    if not order:
        without = "No contender finished a run."
        return Part(title, f"No verdict. {failed or without}", warnings, task=task)
    sentences = (
        judge_sentence(results, task),
        _reward_sentence(results, task, rows, order),
        _frontier_sentence(rows, order[0]),
        usage_sentence(results, task, order),
        best_of_n_sentence(results, task),
        _regret_sentence(results, task, order),
        *_privileged_sentences(results, rows),
    )
    statement = f"{failed} {verdict_statement(results, task)}".strip()
    return Part(title, statement, warnings, tuple(filter(None, sentences)), task=task)


def _reward_sentence(results: Results, task: str, rows: pd.DataFrame, order: list[str]) -> str:
    best = order[0]
    params = select_settings(results.runs, task)[best]
    at = f" (at {setting(params)})" if params != "{}" else ""
    late = lost_more_seeds(results.runs, task, results.privileged).intersection(order)
    conditions = [] if task in results.judged else ["were not given it"]
    conditions += ["lost the fewest seeds"] if late else []
    conditions += ["finished"] if results.failed(task) else []
    among = f" of the methods that {listed(conditions)}" if conditions else ""
    text = (
        f"On validation prompts, {best}{at} has the highest {results.reward_source(task)} "
        f"reward{among}. On test prompts it reaches {_mean(rows, best, 'reward')}"
    )
    rewards = selected_rewards(results, task)
    others = dict.fromkeys(other for other in ("sft", *order[1:2]) if other in order)
    gains = [
        _gain(
            contrast(rewards, best, other),
            "the SFT policy" if other == "sft" else f"the runner-up {other}",
        )
        for other in others
        if other != best
    ]
    return f"{text}: {listed(gains)}." if gains else f"{text}."


def _gain(contrast: Contrast, other: str) -> str:
    difference = contrast.difference
    if not difference.n:
        return f"not comparable with {other} on any seed"
    side = "above" if difference.mean >= 0 else "below"
    text = f"{number(abs(difference.mean))} {side} {other}"
    if not math.isfinite(difference.half_width):
        return f"{text} ({rests_on(contrast)}, so no interval)"
    low, high = sorted((abs(difference.low), abs(difference.high)))
    if difference.low < 0 < difference.high:
        bounds = f"{number(difference.low)} to +{number(difference.high)}"
    else:
        bounds = f"{number(low)} to {number(high)}"
    alone = ", for this one training" if difference.n == 1 else ""
    return f"{text} (95% interval {bounds}, {rests_on(contrast)}{alone})"


def _frontier_sentence(rows: pd.DataFrame, method: str) -> str:
    """Say how far the method moved, and how much of the optimal gain there it has."""
    if method == "sft":
        return ""
    efficiency, wins = _value(rows, method, "efficiency"), _value(rows, method, "win_rate_sft")
    text = f"It moved {_mean(rows, method, 'kl')} nats from the SFT policy"
    if math.isfinite(efficiency):
        text += f" and has {percent(efficiency)} of the optimal gain at that KL"
    else:
        text += "; the optimal gain at that KL is not known"
    if math.isfinite(wins):
        text += f". It wins {percent(wins)} of comparisons with the SFT policy"
    return f"{text}."


def _privileged_sentences(results: Results, rows: pd.DataFrame) -> list[str]:
    """Say what each method reaches that was given the gold reward."""
    sentences = []
    for method in (m for m in dict.fromkeys(rows["method"]) if m in results.privileged):
        share = _value(rows, method, "efficiency")
        optimal = f", {percent(share)} of the optimal gain there" if math.isfinite(share) else ""
        sentences.append(
            f"{method} is trained on the gold reward itself and is therefore not a contender: it "
            f"reaches {_mean(rows, method, 'reward')} at {_mean(rows, method, 'kl')} nats{optimal}."
        )
    return sentences


def _regret_sentence(results: Results, task: str, order: list[str]) -> str:
    """Say what the regret is made of; of many methods, only the best two and privileged ones."""
    regrets = selected_regrets(results, task)
    if len(regrets) > MOST_REGRETS:
        regrets = regrets[regrets.index.isin({*order[:2], *results.privileged})]
    parts = [
        f"of {method} is {number(regret['optimization_error'])} optimization error"
        + ("" if method in results.privileged else _reward_model_regret(regret))
        for method, regret in regrets.iterrows()
    ]
    return f"At the selected KL strengths, the regret {'; that '.join(parts)}." if parts else ""


def _reward_model_regret(regret: pd.Series) -> str:
    interaction = regret["interaction"]
    sign = "minus" if interaction < 0 else "plus"
    return (
        f" plus {number(regret['reward_model_error'])} reward-model error {sign} "
        f"{number(abs(interaction))} interaction"
    )


def _efficiency_warnings(rows: pd.DataFrame) -> list[str]:
    means = rows.groupby("method", sort=False)["efficiency"].mean()
    return [
        f"{method} appears to have {percent(share)} of the optimal gain. No policy can have more "
        "than 100%: the frontier is estimated too low there."
        for method, share in means[means > EFFICIENCY_ALARM].items()
    ]


def _value(rows: pd.DataFrame, method: str, column: str) -> float:
    return complete_mean(rows.loc[rows["method"] == method, column])


def _mean(rows: pd.DataFrame, method: str, column: str) -> str:
    return number(_value(rows, method, column))

"""The answer in words. Verdicts are for declared contrasts; everything else is an interval."""

from __future__ import annotations

import math

import pandas as pd

from bench.analysis.averages import complete_mean
from bench.analysis.contrasts import contrast, declared
from bench.analysis.regret import selected_regrets
from bench.analysis.selection import order_by_validation, select_settings, selected_rows
from bench.analysis.statistics import SEEDS_FOR_VERDICT, SIGNIFICANCE, Interval
from bench.report.content.display import count, listed, number, percent, seconds, setting
from bench.report.content.section import Part, Section
from bench.report.sections.contrasts import unreachable_verdict_warnings, verdict_statement
from bench.report.sections.judge import judge_sentence, judge_warnings
from bench.results.loading import Results

TEST = (
    "The test is an exact two-sided sign-flip test on paired test-prompt differences; in "
    "addition, the 95% t-interval must exclude 0."
)
SEEDS = (
    f"A verdict needs {SEEDS_FOR_VERDICT} seeds, since p cannot fall below {SIGNIFICANCE} with "
    "fewer. Every other comparison on this page is exploratory: an interval without a verdict. "
    "Settings are selected on the same seeds that are tested, with other prompts, so gains of "
    "selected settings are still slightly optimistic."
)
DECLARED_NOTE = (
    "Only the contrasts that the experiment file declares receive a verdict. "
    f"{TEST} Its p is corrected for the number of declared contrasts (Holm). {SEEDS}"
)
PRIMARY_NOTE = (
    "No contrast is declared, so one comparison for each task receives a verdict: the best method "
    "against the second best, as ordered on validation prompts, without the methods that were "
    f"given the gold reward. {TEST} With one contrast, p needs no correction. {SEEDS}"
)
# A mean efficiency just above 1 is sampling error; further above, the frontier is wrong.
EFFICIENCY_ALARM = 1.02
MOST_REGRETS = 6
# More names than this are counted, not listed.
MOST_NAMES = 6


def answer_section(results: Results) -> Section:
    """Return the section: a verdict, warnings and the numbers behind it for each task."""
    return Section(
        "answer",
        "Answer",
        parts=tuple(answer(results, task) for task in results.tasks),
        notes=(DECLARED_NOTE if declared(results) else PRIMARY_NOTE,),
    )


def answer(results: Results, task: str) -> Part:
    """Return a task's verdict as the statement, what to be wary of, and the numbers behind it."""
    rows = selected_rows(results.runs, task)
    order = order_by_validation(results.runs, task, results.privileged)
    title = results.task_title(task)
    warnings = (
        *judge_warnings(results, task),
        *unreachable_verdict_warnings(results, task),
        *_run_warnings(results, task),
        *_effort_warnings(results, task),
        *_efficiency_warnings(rows),
    )
    if not order:
        statement = "No verdict: no run of a method that is not privileged finished with a reward."
        return Part(title, statement, warnings)
    sentences = (
        judge_sentence(results, task),
        _reward_sentence(results, task, rows, order),
        _frontier_sentence(rows, order[0]),
        _usage_sentence(rows, order),
        _regret_sentence(results, task, order),
        *_privileged_sentences(results, rows),
    )
    statement = verdict_statement(results, task)
    return Part(title, statement, warnings, tuple(filter(None, sentences)))


def _reward_sentence(results: Results, task: str, rows: pd.DataFrame, order: list[str]) -> str:
    best = order[0]
    params = select_settings(results.runs, task)[best]
    at = f" (at {setting(params)})" if params != "{}" else ""
    among = "" if task in results.judged else " of the methods that were not given it"
    text = (
        f"On validation prompts, {best}{at} has the highest {results.reward_source(task)} "
        f"reward{among}. On test prompts it reaches {_mean(rows, best, 'reward')}"
    )
    others = dict.fromkeys(other for other in ("sft", *order[1:2]) if other in order)
    gains = [
        _gain(
            contrast(rows, best, other).difference,
            "the SFT policy" if other == "sft" else f"the runner-up {other}",
        )
        for other in others
        if other != best
    ]
    return f"{text}: {listed(gains)}." if gains else f"{text}."


def _gain(difference: Interval, other: str) -> str:
    if not difference.n:
        return f"not comparable with {other} on any seed"
    side = "above" if difference.mean >= 0 else "below"
    seeds = f"{difference.n} seed{'' if difference.n == 1 else 's'}"
    text = f"{number(abs(difference.mean))} {side} {other}"
    if not math.isfinite(difference.half_width):
        return f"{text} ({seeds}, so no interval)"
    low, high = sorted((abs(difference.low), abs(difference.high)))
    if difference.low < 0 < difference.high:
        bounds = f"{number(difference.low)} to +{number(difference.high)}"
    else:
        bounds = f"{number(low)} to {number(high)}"
    return f"{text} (95% interval {bounds}, {seeds})"


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


def _usage_sentence(rows: pd.DataFrame, order: list[str]) -> str:
    parts = [
        f"{method} used {_training(_median(rows, method, 'train_seconds'))}, "
        f"{_count(rows, method, 'responses_sampled')} sampled responses and "
        f"{_count(rows, method, 'labels')} labels"
        for method in order[:2]
        if method != "sft"
    ]
    return f"Per seed, {'; '.join(parts)}." if parts else ""


def _training(duration: float) -> str:
    return "no training" if duration == 0 else f"{seconds(duration)} s of training"


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


def _run_warnings(results: Results, task: str) -> list[str]:
    """Warn of runs that failed or diverged on any split."""
    runs, key = results.runs[results.runs["task"] == task], ["method", "params", "seed"]
    total = len(runs.drop_duplicates(key))
    lost = runs[runs["status"] != "ok"].drop_duplicates(key)
    return [_lost_runs(str(status), rows, total) for status, rows in lost.groupby("status")]


def _lost_runs(status: str, lost: pd.DataFrame, total: int) -> str:
    by_method = [f"{n} of {method}" for method, n in lost["method"].value_counts().items()]
    return (
        f"{len(lost)} of {total} runs {status}: {listed(by_method)}. Their seeds are missing from "
        "the numbers below."
    )


def _efficiency_warnings(rows: pd.DataFrame) -> list[str]:
    means = rows.groupby("method", sort=False)["efficiency"].mean()
    return [
        f"{method} appears to have {percent(share)} of the optimal gain. No policy can have more "
        "than 100%: the frontier is estimated too low there."
        for method, share in means[means > EFFICIENCY_ALARM].items()
    ]


def _effort_warnings(results: Results, task: str) -> list[str]:
    """Warn where contenders had different numbers of settings to select from."""
    runs = results.runs[results.runs["task"] == task]
    contenders = runs[~runs["method"].isin({"sft", *results.privileged})]
    tried = contenders.groupby("method", sort=False)["params"].nunique()
    if tried.nunique() < 2:
        return []
    groups = {n: [str(method) for method in tried.index[tried == n]] for n in tried.unique()}
    parts = [
        f"{n} for {listed(methods) if len(methods) <= MOST_NAMES else f'{len(methods)} methods'}"
        for n, methods in groups.items()
    ]
    counts = listed(parts) if len(parts) == len(tried) else "; ".join(parts)
    return [f"Unequal effort: the settings tried are {counts}. More settings mean more chances."]


def _value(rows: pd.DataFrame, method: str, column: str) -> float:
    return complete_mean(rows.loc[rows["method"] == method, column])


def _median(rows: pd.DataFrame, method: str, column: str) -> float:
    """Return the median over seeds, as the table of costs has it."""
    return float(rows.loc[rows["method"] == method, column].median())


def _count(rows: pd.DataFrame, method: str, column: str) -> str:
    value = _median(rows, method, column)
    return "no" if value == 0 else count(value)


def _mean(rows: pd.DataFrame, method: str, column: str) -> str:
    return number(_value(rows, method, column))

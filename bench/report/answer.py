"""The answer in words. Declared contrasts decide; everything else is an interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from bench.analysis.averages import complete_mean
from bench.report.contrasts import out_of_reach, verdicts
from bench.report.display import count, listed, number, percent, seconds, setting
from bench.report.judge import judge_sentence, judge_warnings
from bench.report.regret_plot import selected_regrets
from bench.results.loading import Results
from bench.analysis.selection import contrast, ranking, select_settings, selected_rows
from bench.analysis.statistics import Interval

# A mean efficiency just above 1 is sampling error; further above, the frontier is wrong.
EFFICIENCY_ALARM = 1.02
MOST_REGRETS = 6
# More names than this are counted, not listed.
MOST_NAMES = 6


@dataclass(frozen=True)
class Answer:
    """What one task says: a verdict, the figures behind it, and what to be wary of."""

    task: str
    verdict: str
    sentences: list[str]
    warnings: list[str]


def answer(results: Results, task: str) -> Answer:
    """Return the task's answer, as plain text that still has to be escaped."""
    rows = selected_rows(results.runs, task)
    ranked = ranking(results.runs, task, results.privileged)
    warnings = judge_warnings(results, task) + out_of_reach(results, task)
    warnings += _warnings(results, task, rows)
    if not ranked:
        nothing = "No verdict: no run of a method without privilege finished with a reward."
        return Answer(task, nothing, [], warnings)
    sentences = [
        judge_sentence(results, task),
        _reward(results, task, rows, ranked),
        _limit(rows, ranked[0]),
        _cost(rows, ranked),
        _regrets(results, task),
        *_privileged(results, rows),
    ]
    return Answer(task, verdicts(results, task), [s for s in sentences if s], warnings)


def _reward(results: Results, task: str, rows: pd.DataFrame, ranked: list[str]) -> str:
    best = ranked[0]
    params = select_settings(results.runs, task)[best]
    chosen = f" (at {setting(params)})" if params != "{}" else ""
    most = "most gold reward of the methods that were not given it"
    if task in results.judged:
        most = "most of the judge's reward"
    text = (
        f"On validation prompts {best}{chosen} has the {most}; on test prompts it gets "
        f"{_mean(rows, best, 'score')}"
    )
    others = dict.fromkeys([other for other in ("sft", *ranked[1:2]) if other in ranked])
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
        return f"on no seed comparable with {other}"
    side = "above" if difference.mean >= 0 else "below"
    plural = "" if difference.n == 1 else "s"
    text = f"{number(abs(difference.mean))} {side} {other}"
    if not math.isfinite(difference.half_width):
        return f"{text} ({difference.n} seed{plural}, so no interval)"
    low, high = sorted((abs(difference.low), abs(difference.high)))
    if difference.low < 0 < difference.high:
        bounds = f"{number(difference.low)} to +{number(difference.high)}"
    else:
        bounds = f"{number(low)} to {number(high)}"
    return f"{text} (95% interval {bounds}, {difference.n} seed{plural})"


def _limit(rows: pd.DataFrame, method: str) -> str:
    """Say how far the method moved, and how much of what was possible there it got."""
    if method == "sft":
        return ""
    efficiency, wins = _value(rows, method, "efficiency"), _value(rows, method, "win_rate_sft")
    text = f"It moved {_mean(rows, method, 'kl')} nats from the SFT policy"
    if math.isfinite(efficiency):
        text += f" and has {percent(efficiency)} of the gain that is possible at that KL"
    else:
        text += "; how much is possible at that KL is not known"
    if math.isfinite(wins):
        text += f". It wins {percent(wins)} of comparisons with the SFT policy"
    return f"{text}."


def _cost(rows: pd.DataFrame, ranked: list[str]) -> str:
    parts = [
        f"{method} took {_training(_cost_of(rows, method, 'train_seconds'))}, "
        f"{_count(rows, method, 'responses_sampled')} sampled responses and "
        f"{_count(rows, method, 'labels')} labels"
        for method in ranked[:2]
        if method != "sft"
    ]
    return f"Per seed, {'; '.join(parts)}." if parts else ""


def _training(duration: float) -> str:
    return "no training" if duration == 0 else f"{seconds(duration)} s of training"


def _privileged(results: Results, rows: pd.DataFrame) -> list[str]:
    """Say what the optimizer can do with a perfect reward."""
    sentences = []
    for method in (m for m in dict.fromkeys(rows["method"]) if m in results.privileged):
        share = _value(rows, method, "efficiency")
        sentences.append(
            f"{method}, trained on the gold reward itself and so no contender, gets "
            f"{_mean(rows, method, 'score')} at {_mean(rows, method, 'kl')} nats"
            + (f": {percent(share)} of the frontier's gain there." if math.isfinite(share) else ".")
        )
    return sentences


def _regrets(results: Results, task: str) -> str:
    """Say what of the methods' regret is the optimizer's and what the learned reward's.

    Of many methods only for the best two and the privileged ones.
    """
    parts = selected_regrets(results, task)
    if len(parts) > MOST_REGRETS:
        shown = {*ranking(results.runs, task, results.privileged)[:2], *results.privileged}
        parts = parts[parts.index.isin(shown)]
    said = [
        f"{method} lost {number(own['optimization_error'])} to its optimizer"
        + ("" if method in results.privileged else _signal(own))
        for method, own in parts.iterrows()
    ]
    if not said:
        return ""
    return f"Against the best that is possible at the chosen strengths, {'; '.join(said)}."


def _signal(own: pd.Series) -> str:
    meeting = own["interaction"]
    text = f" and {number(own['reward_model_error'])} to the learned reward"
    if meeting < 0:
        return f"{text}, less {number(-meeting)} where the two meet"
    return f"{text}, and {number(meeting)} more where the two meet"


def _warnings(results: Results, task: str, rows: pd.DataFrame) -> list[str]:
    runs = results.runs[results.runs["task"] == task]
    lost = runs[runs["status"] != "ok"].drop_duplicates(["method", "params", "seed"])
    total = len(runs.drop_duplicates(["method", "params", "seed"]))
    warnings = []
    for status, own in lost.groupby("status"):
        counts = own["method"].value_counts().items()
        whose = listed([f"{n} of {method}" for method, n in counts])
        warnings.append(
            f"{len(own)} of {total} runs {status}: {whose}. Their seeds are missing from the "
            "figures below."
        )
    warnings += _unequal_effort(results, runs)
    high = rows.groupby("method", sort=False)["efficiency"].mean()
    warnings += [
        f"{method} seems to have {percent(share)} of what is possible. More "
        "than 100% is no triumph: the frontier is estimated too low there."
        for method, share in high[high > EFFICIENCY_ALARM].items()
    ]
    return warnings


def _unequal_effort(results: Results, runs: pd.DataFrame) -> list[str]:
    """Warn where contenders had different numbers of settings to choose from."""
    contenders = runs[~runs["method"].isin({"sft", *results.privileged})]
    tried = contenders.groupby("method", sort=False)["params"].nunique()
    if tried.nunique() < 2:
        return []
    groups = [[str(m) for m in tried.index[tried == n]] for n in tried.unique()]
    parts = [
        f"{n} of {listed(own)}" if len(own) <= MOST_NAMES else f"{n} of {len(own)} methods"
        for n, own in zip(tried.unique(), groups, strict=True)
    ]
    counts = listed(parts) if len(parts) == len(tried) else "; ".join(parts)
    return [f"Not the same effort: the settings tried are {counts}. More are more chances."]


def _value(rows: pd.DataFrame, method: str, column: str) -> float:
    return complete_mean(rows.loc[rows["method"] == method, column])


def _cost_of(rows: pd.DataFrame, method: str, column: str) -> float:
    """Return the median over seeds, as the table of costs has it."""
    return float(rows.loc[rows["method"] == method, column].median())


def _count(rows: pd.DataFrame, method: str, column: str) -> str:
    value = _cost_of(rows, method, column)
    return "no" if value == 0 else count(value)


def _mean(rows: pd.DataFrame, method: str, column: str) -> str:
    return number(_value(rows, method, column))

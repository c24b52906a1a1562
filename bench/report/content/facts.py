"""The few facts behind a verdict: what the best method reaches, how far it moved, at what cost."""

from __future__ import annotations

import math

import pandas as pd

from bench.analysis.agreement import stage_agreement
from bench.analysis.averages import complete_mean
from bench.analysis.contrasts import contrast
from bench.analysis.regret import regrets
from bench.analysis.selection import lost_more_seeds, selected_rewards, selected_rows
from bench.report.content.display import bracketed, listed, number, percent
from bench.report.content.effort import cost_sentence
from bench.results.loading import Results

# A part of the regret with a larger share is most of it.
MOST_OF_REGRET = 2 / 3


def facts(results: Results, task: str, best: str) -> str:
    """Return about 60 words on a task's best contender.

    Args:
        results: A run's results.
        task: The task's name.
        best: The contender with the most reward on validation prompts.
    """
    rows = selected_rows(results.runs, task)
    sentences = (
        _reward_sentence(results, task, rows, best),
        _frontier_sentence(rows, best),
        _regret_sentence(results, task, rows, best),
        cost_sentence(results, task, best),
        _judge_sentence(results, task),
    )
    return " ".join(filter(None, sentences))


def _reward_sentence(results: Results, task: str, rows: pd.DataFrame, best: str) -> str:
    """Say which method is best on validation prompts, and what it reaches on test prompts."""
    late = lost_more_seeds(results.runs, task, results.privileged) & set(rows["method"])
    conditions = ["lost the fewest seeds"] * bool(late)
    conditions += ["finished"] * bool(results.failed(task))
    among = f" of the methods that {listed(conditions)}" if conditions else ""
    aside = ", privileged methods aside" if set(rows["method"]) & results.privileged else ""
    text = (
        f"{best} is best on validation prompts{among}{aside}; on test prompts its "
        f"{results.reward_source(task)} reward is {_mean(rows, best, 'reward')}"
    )
    gain = contrast(selected_rewards(results, task), best, "sft").difference
    if best == "sft" or not gain.n:
        return f"{text}."
    side = "above" if gain.mean >= 0 else "below"
    size = (
        gain if gain.mean >= 0 else gain._replace(mean=-gain.mean, low=-gain.high, high=-gain.low)
    )
    return f"{text}, which is {bracketed(size)} {side} sft's."


def _frontier_sentence(rows: pd.DataFrame, method: str) -> str:
    """Say how far the method moved, and how much of the optimal gain there it has."""
    if method == "sft":
        return ""
    efficiency = _value(rows, method, "efficiency")
    share = percent(efficiency) if math.isfinite(efficiency) else "an unknown share"
    return f"At {_mean(rows, method, 'kl')} nats from sft it has {share} of the optimal gain."


def _regret_sentence(results: Results, task: str, rows: pd.DataFrame, best: str) -> str:
    """Say which error stood in the best method's way; nothing where its regret is not known."""
    known = [regret for regret in regrets(results, task, selected=True) if regret.method == best]
    if not known:
        return ""
    [regret], seeds = known, int((rows["method"] == best).sum())
    errors = {
        "optimizer's": regret.parts["optimization_error"],
        "reward model's": regret.parts["reward_model_error"],
    }
    (large, most), (small, least) = sorted(errors.items(), key=lambda error: -error[1])
    total = most + max(least, 0.0)
    if not total > 0:
        return ""
    of_seeds = f"; {regret.seeds} of {seeds} seeds" if regret.seeds < seeds else ""
    if most / total > MOST_OF_REGRET:
        numbers = f"({number(most)} in reward; the {small}: {number(least)}{of_seeds})"
        return f"Mostly the {large} error held it back {numbers}."
    return (
        f"The {large} error ({number(most)} in reward) and the {small} ({number(least)}{of_seeds}) "
        "held it back."
    )


def _judge_sentence(results: Results, task: str) -> str:
    if task not in results.judged:
        return ""
    share = stage_agreement(results, task, "judge").share
    return f"Rewards are a judge's, which agrees with people on {percent(share)} of preferences."


def _value(rows: pd.DataFrame, method: str, column: str) -> float:
    return complete_mean(rows.loc[rows["method"] == method, column])


def _mean(rows: pd.DataFrame, method: str, column: str) -> str:
    return number(_value(rows, method, column))

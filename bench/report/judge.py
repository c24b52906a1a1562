"""Judges where no gold reward is known: what they are, how good, and what people say besides."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from bench.report.display import MISSING, count, number, percent
from bench.results.loading import CHOSEN, Results, described, method_order
from bench.analysis.selection import selected_rows
from bench.report.wins import at_equal_length, head_to_head_of

COIN = 0.5
KINDS = {"judge": "the judge", "reward_model": "the reward model that methods learn from"}


class Agreement(NamedTuple):
    """How often a judge agrees with people, with its 95% interval; means over seeds."""

    share: float
    low: float
    high: float
    pairs: float

    def __str__(self) -> str:
        if not math.isfinite(self.low):
            return MISSING
        return f"{100 * self.share:.1f}% [{100 * self.low:.1f}%, {100 * self.high:.1f}%]"


def agreement(results: Results, task: str, stage: str) -> Agreement:
    """Return how often a stage's reward agrees with people on held-out preferences."""
    rows = results.stages
    own = rows[(rows["task"] == task) & (rows["stage"] == stage)]
    names = ("reward_accuracy", "accuracy_low", "accuracy_high", "pairs")
    return Agreement(*(float(own[name].mean()) for name in names))


def of_language_model(row: pd.Series) -> Agreement:
    """Return the same of a language model, with a Wilson interval over the pairs."""
    from scipy.stats import binomtest

    count, share = int(row["wins"] + row["ties"] + row["losses"]), float(row["win_rate"])
    if not count:
        return Agreement(math.nan, math.nan, math.nan, 0)
    test = binomtest(round(share * count), count).proportion_ci(method="wilson")
    return Agreement(share, float(test.low), float(test.high), count)


def judge_sentence(results: Results, task: str) -> str:
    """Say what the judge is and how good; nothing where there is a gold reward."""
    if task not in results.judged:
        return ""
    about = described(results.manifest, "tasks").get(task, {})
    own = agreement(results, task, "judge")
    return (
        f"Nobody knows a gold reward here: policies are measured by a judge, {about.get('judge')}. "
        f"It agrees with people on {own} of {count(own.pairs)} held-out preferences (95% interval)."
        " What is said of its reward holds for this judge, and no more."
    )


def judge_warnings(results: Results, task: str) -> list[str]:
    """Warn of a judge that is not shown to know what people prefer."""
    if task not in results.judged:
        return []
    own = agreement(results, task, "judge")
    if own.low > COIN:
        return []
    return [
        f"The judge is not shown to be better than a coin: it agrees with people on {own} of "
        f"{count(own.pairs)} preferences. Rank nothing by it; more preferences, or a larger judge, "
        "may do."
    ]


def judge_table(results: Results) -> pd.DataFrame:
    """Return how often judge and reward model of each task agree with people."""
    lines = []
    for task in results.judged:
        for stage, what in KINDS.items():
            own = agreement(results, task, stage)
            lines.append(
                {
                    "task": results.task_title(task),
                    "what": what,
                    "agrees with people": str(own),
                    "of preferences": count(own.pairs),
                }
            )
    rows = results.llm_judge
    people = rows[rows["method"] == CHOSEN]
    for _, row in people.iterrows():
        own = of_language_model(row)
        lines.append(
            {
                "task": results.task_title(row["task"]),
                "what": f"{row['judge']}, asked in both orders",
                "agrees with people": str(own),
                "of preferences": count(own.pairs),
            }
        )
    return pd.DataFrame(lines)


def people_table(results: Results, task: str) -> pd.DataFrame:
    """Return how the selected settings do against what people chose, by the judge.

    And how often the policy's own log-ratios rank a held-out pair as people did.
    """
    if task not in results.judged:
        return pd.DataFrame()
    rows, head_to_head = selected_rows(results.runs, task), head_to_head_of(results, task)
    lines = []
    for method in method_order(rows):
        own = rows[rows["method"] == method]
        against = head_to_head[(head_to_head["method"] == method) & (head_to_head["opponent"] == CHOSEN)]
        lines.append(
            {
                "method": method,
                "win rate vs chosen": percent(own["win_rate_chosen"].mean()),
                "at equal length": MISSING if against.empty else at_equal_length(against),
                "tokens": number(own["response_tokens"].mean(), 1),
                "chosen's tokens": number(against["opponent_tokens"].mean(), 1),
                "implicit accuracy": percent(own["implicit_accuracy"].mean()),
            }
        )
    return pd.DataFrame(lines)


def llm_table(results: Results, task: str) -> pd.DataFrame:
    """Return what language models said of the selected settings, means over seeds."""
    rows = results.llm_judge
    rows = rows[(rows["task"] == task) & (rows["method"] != CHOSEN)]
    lines = []
    for (judge, method, opponent), own in rows.groupby(["judge", "method", "opponent"], sort=False):
        lines.append(
            {
                "method": method,
                "against": opponent,
                "what": judge,
                "win rate": percent(own["win_rate"].mean()),
                "at equal length": percent(own["win_rate_lc"].mean()),
                "comparisons": count(own["prompts"].sum()),
                "unparsable": count(own["unparsable"].sum()),
                "failed": count(own["failed"].sum()),
                "first preferred": percent(own["first_preferred"].mean()),
                "both orders agree": percent(own["consistent"].mean()),
                "seeds": str(own["seed"].nunique()),
            }
        )
    return pd.DataFrame(lines)


def data_table(results: Results, task: str) -> pd.DataFrame:
    """Return what was read of recorded preferences, and how it was shared out."""
    about = described(results.manifest, "tasks").get(task, {}).get("data")
    if not about:
        return pd.DataFrame()
    lines = [
        {
            "split": split,
            "preferences": count(about["rows"][split]),
            "prompts": count(about["prompts"][split]),
        }
        for split in about["rows"]
    ]
    return pd.DataFrame(lines)


def data_sentences(results: Results, task: str) -> list[str]:
    """Say what was left out, came twice or was cut."""
    about = described(results.manifest, "tasks").get(task, {}).get("data")
    return [" ".join(line.split()) for line in about["words"]] if about else []

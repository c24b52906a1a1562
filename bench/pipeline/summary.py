"""Summaries of recorded data. Artifacts hold codes and counts; the text is made from them here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.data.checks import ProblemCount
from bench.data.wording import problem_lines, used_rows_text
from bench.pipeline.sources import Sources
from bench.tasks.recorded import Recorded
from bench.tasks.sentiment import Sentiment

# What labels of each kind are called.
KIND_NAMES = {"pairs": "pairs", "rankings": "rankings", "unpaired": "unpaired labels"}


def recorded_summary(task: Recorded, metrics: Mapping[str, Any]) -> list[str]:
    """Return a line on the rows that are used, and one for each remark about them.

    Args:
        task: Recorded preferences.
        metrics: Of the feedback stage.
    """
    problems = [ProblemCount(**problem) for problem in metrics["problems"]]
    splits = ", ".join(f"{count:,} {split}" for split, count in metrics["rows"].items())
    counts = [
        (metrics["repeated"], "repeat an earlier row"),
        (metrics["contradicting"], "contradict an earlier row"),
        (metrics["cut_responses"], f"responses are cut at {task.response_tokens} tokens"),
    ]
    lines = [
        *problem_lines(problems),
        *(f"{count:,} {text}" for count, text in counts if count),
        f"{KIND_NAMES[metrics['kind']]} in each split: {splits}",
    ]
    used = used_rows_text(task.data, metrics["used_rows"], metrics["bad_rows"])
    return [used, *(f"  {line}" for line in lines)]


def judge_description(task: Recorded, metrics: Mapping[str, Any]) -> str:
    """Return what the judge of a task is.

    Args:
        task: Recorded preferences.
        metrics: Of the feedback stage.
    """
    if task.judge_classifier.model:
        return f"the classifier {task.judge_classifier.model}, as it is"
    start = task.judge_model or task.model
    return (
        f"a reward model that starts from {start}, trained on {metrics['rows']['judge']:,} "
        "preferences that nothing else saw"
    )


def judge_warning(task: Recorded, sources: Sources) -> str:
    """Return a warning of a judge that has the reward model's weights; nothing for any other.

    Args:
        task: Recorded preferences.
        sources: Where its models were found.
    """
    judge, reward = sources.judge_classifier, sources.reward_classifier
    remedy = "set judge_model or judge_classifier, or let a language model judge (llm_judge)"
    if judge.hash or reward.hash:
        if judge.hash != reward.hash:
            return ""
        return (
            f"The judge is the reward model itself ({task.judge_classifier.model}), so a response "
            f"that fools one fools the other: {remedy}."
        )
    has_own = task.judge_model not in ("", task.model)
    if has_own and not (sources.model.hash and sources.judge_model.hash == sources.model.hash):
        return ""
    return (
        f"The judge starts from the same weights as the reward model ({task.model}), so a response "
        f"that fools one may fool the other: {remedy}."
    )


def sentiment_summary(task: Sentiment, metrics: Mapping[str, Any]) -> list[str]:
    """Return a line on how many prompts each split has.

    Args:
        task: The sentiment task.
        metrics: Of the texts stage.
    """
    splits = ("train", "validation", "test")
    parts = [f"{metrics[split]:,} {split}" for split in splits]
    return [f"{task.data}: beginnings of texts in each split: {', '.join(parts)}"]

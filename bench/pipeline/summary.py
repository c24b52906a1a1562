"""What was read of recorded data, in words. Artifacts hold counts; the text is made from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.tasks.recorded import Recorded
from bench.tasks.sentiment import Sentiment


def recorded_summary(task: Recorded, metrics: Mapping[str, Any]) -> list[str]:
    """Return lines on which rows are used, and what is wrong with the others.

    Args:
        task: Recorded preferences.
        metrics: What the feedback stage kept.
    """
    return list(metrics["words"])


def judge_description(task: Recorded, metrics: Mapping[str, Any]) -> str:
    """Return what the judge of a task is.

    Args:
        task: Recorded preferences.
        metrics: What the feedback stage kept.
    """
    if task.judge_classifier.model:
        return f"the classifier {task.judge_classifier.model}, as it is"
    start = task.judge_model or task.model
    return (
        f"a reward model that starts from {start}, trained on {metrics['rows']['judge']:,} "
        "preferences that nothing else saw"
    )


def sentiment_summary(task: Sentiment, metrics: Mapping[str, Any]) -> list[str]:
    """Return a line on how many beginnings of texts each split has.

    Args:
        task: The sentiment task.
        metrics: What its texts stage kept.
    """
    splits = ("train", "validation", "test")
    parts = [f"{metrics[split]:,} to {split}" for split in splits]
    return [f"{task.data}: beginnings of texts: {', '.join(parts)}"]

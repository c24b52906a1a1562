"""What each method used, and how many labels a learned reward saved."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any, NamedTuple

import pandas as pd

from bench.report.display import MISSING, count, seconds
from bench.results.loading import Results, method_order
from bench.analysis.selection import RUN_KEY, ok_rows, selected_rows

COSTS = (
    "labels",
    "prompts_seen",
    "responses_sampled",
    "reward_calls",
    "train_tokens",
    "train_seconds",
    "peak_memory_mb",
)
MOST_SENTENCES = 4


class Asked(NamedTuple):
    """How often a learned reward answered, and for how many labels; means over seeds.

    calls: over all settings of a seed, which share one reward model.
    """

    calls: float
    labels: float

    @property
    def saved(self) -> float:
        """Labels saved; below 0 where asking the annotator each time had been cheaper."""
        return self.calls - self.labels


def asked(results: Results, task: str) -> dict[str, Asked]:
    """Return the methods that asked a learned reward while they trained."""
    rows = ok_rows(results.runs)
    rows = rows[(rows["task"] == task) & ~rows["method"].isin(results.privileged)]
    runs = rows.drop_duplicates(RUN_KEY)
    found = {}
    for method in method_order(runs):
        own = runs[runs["method"] == method].groupby("seed")
        calls, labels = own["reward_calls"].sum(), own["labels"].max()
        found[method] = Asked(float(calls.mean()), float(labels.mean()))
    return {method: own for method, own in found.items() if own.calls > 0}


def cost_table(results: Results, task: str) -> pd.DataFrame:
    """Return what each method's selected setting used, and its labels saved over all.

    Medians over seeds: a machine that was busy for a while does not count.
    """
    medians = selected_rows(results.runs, task).groupby("method", sort=False)[list(COSTS)].median()
    saved = {method: count(own.saved) for method, own in asked(results, task).items()}
    used = medians.to_dict("index")
    return pd.DataFrame(
        [
            {"method": method}
            | {
                name.replace("_", " ").replace("mb", "MB"): count(used[method][name])
                for name in COSTS
            }
            | {"train seconds": seconds(used[method]["train_seconds"])}
            | {"tokens per second": count(per_second(used[method]))}
            | {"labels saved, all settings": saved.get(method, MISSING)}
            for method in method_order(medians.reset_index())
        ]
    )


def per_second(used: dict[Hashable, Any]) -> float:
    """Return the tokens trained on per second; not a number where nothing is trained."""
    trains = used["train_tokens"] > 0 and used["train_seconds"] > 0
    return float(used["train_tokens"] / used["train_seconds"]) if trains else math.nan


def savings(results: Results, task: str) -> list[str]:
    """Say for each learned reward what asking the annotator every time would have cost.

    Only of a few: the table has it of all.
    """
    if len(asked(results, task)) > MOST_SENTENCES:
        return []
    return [_saving(method, own) for method, own in asked(results, task).items()]


def _saving(label: str, own: Asked) -> str:
    text = (
        f"{label}: per seed, over all settings, its reward model answered {count(own.calls)} times "
        f"for {count(own.labels)} labels"
    )
    if own.saved < 0:
        return (
            f"{text}. Asking the annotator each time would have been cheaper, by "
            f"{count(-own.saved)} labels."
        )
    return f"{text}: {count(own.saved)} labels saved."

"""A report's numbers recomputed from runs.csv: selected settings, and means or medians over seeds.

It reads no code of the analysis, so that a mistake there is not repeated here.
"""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

# What the sections take over seeds, by column.
MEAN_COLUMNS = (
    "reward proxy_reward kl win_rate_sft response_tokens entropy distinct_2 ended_rate "
    "efficiency gain"
)
MEDIAN_COLUMNS = (
    "labels prompts_seen responses_sampled reward_calls train_tokens train_seconds peak_memory_mb "
    "tokens_per_second"
)
INTERVALS = ("reward", "gain")


class Selected:
    """The selected settings of a results folder without failed runs."""

    def __init__(self, folder: Path) -> None:
        """Read the runs."""
        self._samples = pd.read_parquet(folder / "samples.parquet")
        self.runs = pd.read_csv(folder / "runs.csv", keep_default_na=False, na_values=[""])
        assert set(self.runs["status"]) == {"ok"}

    def finished(self, task: str) -> pd.DataFrame:
        """Return a task's runs on test prompts."""
        return self.runs[(self.runs["task"] == task) & (self.runs["split"] == "test")]

    def mean(self, task: str, method: str, setting: str, column: str) -> float:
        """Return a setting's mean over seeds; the setting as the page has it, "beta 0.1"."""
        rows = self.finished(task)
        named = rows["params"].map(lambda params: _named(json.loads(params)))
        return float(rows.loc[(rows["method"] == method) & (named == setting), column].mean())

    def knows(self, section: str, column: str) -> bool:
        """Return whether a column of a section can be recomputed."""
        return column in (
            MEDIAN_COLUMNS.split() if _is_usage(section, column) else MEAN_COLUMNS.split()
        )

    def value(self, section: str, task: str, method: str, column: str) -> tuple[float, ...]:
        """Return a number, and the ends of its interval where it has one."""
        if _is_usage(section, column):
            return (self._usage(task, method, column),)
        if column == "gain":
            return self.difference(task, method, "sft")
        values = self.by_seed(task, method, column).dropna()
        return _with_interval(values) if column in INTERVALS else (float(values.mean()),)

    def difference(self, task: str, method: str, other: str) -> tuple[float, float, float]:
        """Return the mean difference in reward of two methods, paired by seed, and its interval."""
        pair = (self.by_seed(task, name, "reward") for name in (method, other))
        return _with_interval(next(pair) - next(pair))

    def by_seed(self, task: str, method: str, column: str) -> pd.Series:
        """Return the numbers of a method's selected setting."""
        return self._selected(task, method).set_index("seed")[column].astype(float)

    def samples(self, task: str, seed: int) -> pd.DataFrame:
        """Return the test samples of the selected settings at a seed."""
        rows = self._samples
        rows = rows[(rows["task"] == task) & (rows["seed"] == seed) & (rows["split"] == "test")]
        chosen = {m: self._selected(task, m)["params"].iloc[0] for m in rows["method"].unique()}
        return rows[rows["params"] == rows["method"].map(chosen)]

    @cache  # noqa: B019 (as long as the tests)
    def _selected(self, task: str, method: str) -> pd.DataFrame:
        rows = self.runs[(self.runs["task"] == task) & (self.runs["method"] == method)]
        validation = rows[rows["split"] == "validation"]
        best = validation.groupby("params")["reward"].mean().idxmax()
        return rows[(rows["split"] == "test") & (rows["params"] == best)]

    def _usage(self, task: str, method: str, column: str) -> float:
        if column != "tokens_per_second":
            return float(np.median(self.by_seed(task, method, column)))
        tokens, seconds = (
            self._usage(task, method, name) for name in ("train_tokens", "train_seconds")
        )
        return tokens / seconds


def _with_interval(values: pd.Series) -> tuple[float, float, float]:
    """Return the mean and the ends of its 95% t-interval."""
    mean, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return mean, mean - half, mean + half


def _named(params: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in params.items()) or "—"


def _is_usage(section: str, column: str) -> bool:
    return section == "cost" or column == "train_seconds"

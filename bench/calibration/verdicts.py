"""From gold rewards to verdicts: what each comparison says, and what is true of all pipelines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.calibration.design import ITSELF, INSTANCES_PER_GROUP, Design
from bench.execution.tables import Problems
from bench.analysis.statistics import mean_interval, sign_flip_p, verdict

DIFFERENCE_COLUMNS = ["kind", "pair", "comparison", "group", "difference"]
CALIBRATION_COLUMNS = [
    *("kind", "pair", "group", "difference", "low", "high", "p", "verdict", "truth"),
]
PAIR_COLUMNS = [
    *("kind", "pair", "truth", "difference", "low", "high", "effect"),
    *("comparisons", "better", "worse", "none", "covered"),
]
# The order of two methods counts as known where this interval over all pipelines leaves 0 out.
TRUTH_LEVEL = 0.99


def differences(design: Design, problems: Problems) -> pd.DataFrame:
    """Return a row for each pair and pipeline: gold reward of the first arm less that of the second.

    By enumeration, on test prompts. nan where a run failed. comparison: number of the pair.
    """
    gold = {
        run.key: float("nan") if run.key in problems else run.metrics("test")["reward"]
        for run in design.runs
    }
    numbers = {pair: number for number, pair in enumerate(design.pairs)}
    rows = []
    for pair, pipeline, ours, theirs in design.sides():
        difference = gold[ours.key] - gold[theirs.key]
        group = pipeline // INSTANCES_PER_GROUP
        rows.append([pair.kind, pair.title, numbers[pair], group, difference])
    return pd.DataFrame(rows, columns=DIFFERENCE_COLUMNS)


def truth(kind: str, differences: Sequence[float]) -> str:
    """Return what is true of the first method, from its differences on all pipelines.

    A method equals itself. Of two others, better or worse where the 99% t-interval leaves 0 out,
    else unknown.
    """
    if kind == ITSELF:
        return "equal"
    interval = mean_interval(differences, TRUTH_LEVEL)
    return "better" if interval.low > 0 else "worse" if interval.high < 0 else "unknown"


def judge(pipelines: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each comparison, by group of pipelines. pipelines: from `differences`."""
    truths = {
        (kind, pair): truth(str(kind), own["difference"].dropna().tolist())
        for (kind, pair), own in pipelines.groupby(["kind", "pair"], sort=False)
    }
    rows = []
    by = ["kind", "pair", "comparison", "group"]
    for (kind, pair, _, group), own in pipelines.groupby(by, sort=False):
        found = own["difference"].dropna().tolist()
        interval, p = mean_interval(found), sign_flip_p(found)
        metrics = [interval.mean, interval.low, interval.high, p]
        rows.append([kind, pair, group, *metrics, verdict(found), truths[kind, pair]])
    return pd.DataFrame(rows, columns=CALIBRATION_COLUMNS)


def pairs(pipelines: pd.DataFrame, judged: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each pair: its truth, and what its comparisons said.

    difference, low, high: over all pipelines, with a 95% t-interval. effect: that difference in
    standard deviations over pipelines, 0 for a method with itself. covered: comparisons whose
    interval holds the difference over all pipelines (0 for a method with itself).
    """
    rows = []
    for (kind, pair), own in judged.groupby(["kind", "pair"], sort=False):
        mine = (pipelines["kind"] == kind) & (pipelines["pair"] == pair)
        data = pipelines.loc[mine, "difference"].dropna()
        interval = mean_interval(data.tolist())
        true_mean = 0.0 if kind == ITSELF else interval.mean
        spread = float(data.std(ddof=1))
        effect = true_mean / spread if spread else float("nan")
        said = own["verdict"].value_counts()
        better, worse = int(said.get("better", 0)), int(said.get("worse", 0))
        covered = int(((own["low"] <= true_mean) & (true_mean <= own["high"])).sum())
        order = [own["truth"].iloc[0], interval.mean, interval.low, interval.high, effect]
        counts = [len(own), better, worse, len(own) - better - worse, covered]
        rows.append([kind, pair, *order, *counts])
    return pd.DataFrame(rows, columns=PAIR_COLUMNS)


def power(effect: float, pipelines: int = INSTANCES_PER_GROUP, draws: int = 500) -> float:
    """Return how often the verdict is "better" where differences are N(effect, 1).

    The same draws serve every effect, so that the curve rises without noise.
    """
    noise = np.random.default_rng(0).normal(size=(draws, pipelines))
    return float(np.mean([verdict(list(row)) == "better" for row in noise + effect]))

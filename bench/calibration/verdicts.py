"""From gold rewards to verdicts on comparisons, and to the truth over all instances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.analysis.statistics import mean_interval, sign_flip_p, verdict
from bench.calibration.design import INSTANCES_PER_COMPARISON, ITSELF, Design
from bench.execution.execute import Problems

DIFFERENCE_COLUMNS = ["kind", "pair", "comparison", "group", "difference"]
CALIBRATION_COLUMNS = [
    *("kind", "pair", "group", "difference", "low", "high", "p", "verdict", "truth"),
]
PAIR_COLUMNS = [
    *("kind", "pair", "truth", "difference", "low", "high", "effect"),
    *("comparisons", "better", "worse", "none", "covered"),
]
# The order of two methods is known if the t-interval over all instances at this level excludes 0.
TRUTH_LEVEL = 0.99


def differences(design: Design, problems: Problems) -> pd.DataFrame:
    """Return the difference in gold reward of each pair on each instance.

    Args:
        design: The finished work.
        problems: Status and error of each failed run, by its key.

    Returns:
        The first arm's gold reward minus the second's, by enumeration on test prompts; nan if a run
        failed. `comparison` is the number of the pair.
    """
    reward = {
        run.key: float("nan") if run.key in problems else run.metrics("test")["reward"]
        for run in design.runs
    }
    numbers = {pair: number for number, pair in enumerate(design.pairs)}
    rows = []
    for pair, instance, ours, theirs in design.sides():
        difference = reward[ours.key] - reward[theirs.key]
        group = instance // INSTANCES_PER_COMPARISON
        rows.append([pair.kind, pair.title, numbers[pair], group, difference])
    return pd.DataFrame(rows, columns=DIFFERENCE_COLUMNS)


def truth(kind: str, differences: Sequence[float]) -> str:
    """Return how the first arm of a pair really compares with the second.

    Args:
        kind: The kind of the pair.
        differences: On all instances.

    Returns:
        "equal" for a method with itself; "better" or "worse" if the 99% t-interval excludes 0;
        "unknown" otherwise.
    """
    if kind == ITSELF:
        return "equal"
    interval = mean_interval(differences, TRUTH_LEVEL)
    return "better" if interval.low > 0 else "worse" if interval.high < 0 else "unknown"


def judge(differences: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each comparison: its difference with a 95% t-interval, p and verdict.

    Args:
        differences: From `differences`.
    """
    truths = {
        (kind, pair): truth(str(kind), group["difference"].dropna().tolist())
        for (kind, pair), group in differences.groupby(["kind", "pair"], sort=False)
    }
    rows = []
    by = ["kind", "pair", "comparison", "group"]
    for (kind, pair, _, number), group in differences.groupby(by, sort=False):
        values = group["difference"].dropna().tolist()
        interval, p = mean_interval(values), sign_flip_p(values)
        statistics = [interval.mean, interval.low, interval.high, p]
        rows.append([kind, pair, number, *statistics, verdict(values), truths[kind, pair]])
    return pd.DataFrame(rows, columns=CALIBRATION_COLUMNS)


def pairs(differences: pd.DataFrame, judged: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each pair: its truth, and the verdicts of its comparisons.

    Args:
        differences: From `differences`.
        judged: From `judge`.

    Returns:
        difference, low, high: The mean over all instances with its 95% t-interval.
        effect: The true difference in standard deviations over instances.
        comparisons, better, worse, none: Number of comparisons, in all and by verdict.
        covered: Number of comparisons whose interval contains the true difference. The true
            difference of a method with itself is 0.
    """
    rows = []
    for (kind, pair), group in judged.groupby(["kind", "pair"], sort=False):
        of_pair = (differences["kind"] == kind) & (differences["pair"] == pair)
        values = differences.loc[of_pair, "difference"].dropna()
        interval = mean_interval(values.tolist())
        true_mean = 0.0 if kind == ITSELF else interval.mean
        spread = float(values.std(ddof=1))
        effect = true_mean / spread if spread else float("nan")
        counts = group["verdict"].value_counts()
        better, worse = int(counts.get("better", 0)), int(counts.get("worse", 0))
        covered = int(((group["low"] <= true_mean) & (true_mean <= group["high"])).sum())
        order = [group["truth"].iloc[0], interval.mean, interval.low, interval.high, effect]
        verdicts = [len(group), better, worse, len(group) - better - worse, covered]
        rows.append([kind, pair, *order, *verdicts])
    return pd.DataFrame(rows, columns=PAIR_COLUMNS)


def power(effect: float, instances: int = INSTANCES_PER_COMPARISON, draws: int = 500) -> float:
    """Return how often the verdict is "better" if differences are drawn from N(effect, 1).

    All effects share the same draws, so that the power rises smoothly with the effect.

    Args:
        effect: The true difference in standard deviations.
        instances: Number of instances that a comparison sees.
        draws: Number of simulated comparisons.
    """
    noise = np.random.default_rng(0).normal(size=(draws, instances))
    return float(np.mean([verdict(list(row)) == "better" for row in noise + effect]))

"""Metrics that stand on their own, as `evaluate.Metric` classes: load one and call `compute`."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import datasets
import evaluate
import numpy as np

from bench.evaluation.win_rate import sem, weighted_win_rate

_NUMBER = datasets.Value("float64")
_GROUP = datasets.Value("int64")


def _info(description: str, inputs: str, **features: Any) -> evaluate.MetricInfo:
    return evaluate.MetricInfo(
        description=description,
        citation="",
        inputs_description=inputs,
        features=datasets.Features(features),
    )


class ClusteredMean(evaluate.Metric):
    """A mean over clusters (here prompts) that are a sample themselves, with its standard error.

    With n clusters, mean +- t quantile of n - 1 degrees of freedom * error is a confidence interval
    for the mean of the population of clusters: for other prompts of the same kind.
    """

    def _info(self) -> evaluate.MetricInfo:
        return _info(
            "Mean over clusters of the means within them, and its standard error.",
            "predictions: numbers; references: the cluster of each.",
            predictions=_NUMBER,
            references=_GROUP,
        )

    def _compute(self, predictions: list[float], references: list[int]) -> dict[str, float]:
        clusters = defaultdict(list)
        for value, cluster in zip(predictions, references, strict=True):
            clusters[cluster].append(value)
        means = [sum(values) / len(values) for values in clusters.values()]
        mean = sum(means) / len(means)
        return {"mean": mean, "sem": sem(means)}


class WinRate(evaluate.Metric):
    """How often a reward beats an opponent's on the same prompt; ties count half."""

    def _info(self) -> evaluate.MetricInfo:
        return _info(
            "Win rate of rewards over an opponent's on the same prompts.",
            "predictions: one list of rewards for each prompt; references: the opponent's.",
            predictions=datasets.Sequence(_NUMBER),
            references=datasets.Sequence(_NUMBER),
        )

    def _compute(
        self, predictions: list[list[float]], references: list[list[float]]
    ) -> dict[str, float]:
        rates = [
            float(weighted_win_rate(np.array(ours), np.array(theirs)))
            for ours, theirs in zip(predictions, references, strict=True)
        ]
        mean = sum(rates) / len(rates)
        return {"win_rate": mean, "sem": sem(rates)}


class DistinctN(evaluate.Metric):
    """The share of distinct n-grams of words, over all texts (Li et al., 2016)."""

    def _info(self) -> evaluate.MetricInfo:
        return _info(
            "Distinct n-grams as a share of all n-grams.",
            "predictions: texts; n: words in an n-gram.",
            predictions=datasets.Value("string"),
        )

    def _compute(self, predictions: list[str], n: int = 2) -> dict[str, float]:
        grams: Counter[tuple[str, ...]] = Counter()
        for text in predictions:
            words = text.split()
            grams.update(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
        total = grams.total()
        return {"distinct": len(grams) / total if total else float("nan")}

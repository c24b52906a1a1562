"""The simulated annotator, against the distributions that it should follow."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import numpy as np
import pytest

from bench.pipeline.stages.annotator import (
    LabelRequest,
    annotate,
    annotate_unpaired,
    choose,
    rank,
    tilted,
)
from bench.tasks.base import Annotator, FeedbackFormat
from methods.core.feedback import derive

GOLD = (1.0, 0.0, -0.5)
DRAWS = 20_000


def softmax(values: tuple[float, ...]) -> np.ndarray:
    weights = np.exp(values)
    return weights / weights.sum()


def test_a_choice_among_several_is_a_softmax() -> None:
    random = Random(0)
    chosen = Counter(choose(Annotator(), GOLD, random) for _ in range(DRAWS))
    shares = [chosen[i] / DRAWS for i in range(3)]
    assert shares == pytest.approx(softmax(GOLD), abs=0.012)


def test_a_flip_takes_one_of_the_others() -> None:
    annotator = Annotator(temperature=0.01, flip_rate=0.3)
    random = Random(0)
    chosen = Counter(choose(annotator, GOLD, random) for _ in range(DRAWS))
    assert [chosen[i] / DRAWS for i in range(3)] == pytest.approx([0.7, 0.15, 0.15], abs=0.012)


def test_a_ranking_is_plackett_luce() -> None:
    random = Random(0)
    orders = Counter(tuple(rank(Annotator(), GOLD, 2, random)) for _ in range(DRAWS))
    p = softmax(GOLD)
    for order in [(0, 1, 2), (2, 1, 0), (1, 0, 2)]:
        first, second, _ = order
        expected = p[first] * p[second] / (1 - p[first])
        assert orders[order] / DRAWS == pytest.approx(expected, abs=0.012)


def test_pairs_from_rankings_and_choices_follow_bradley_terry() -> None:
    requests = [LabelRequest("a", ("x", "y", "z"), GOLD)] * DRAWS
    for kind in ("rankings", "choices"):
        labels = annotate(requests, FeedbackFormat(kind, 3), Annotator(), Random(0))
        pairs = Counter((pair.chosen, pair.rejected) for pair in derive(labels, "pairs"))
        won, lost = pairs["x", "y"], pairs["y", "x"]
        assert won / (won + lost) == pytest.approx(1 / (1 + math.exp(-1.0)), abs=0.015)


def test_unpaired_labels_compare_with_the_mean() -> None:
    requests = [LabelRequest("a", ("x",), (0.5,)), LabelRequest("a", ("y",), (-0.5,))] * DRAWS
    labels = annotate_unpaired(requests, Annotator(temperature=2.0), Random(0))
    liked = sum(unpaired.label for unpaired in labels if unpaired.completion == "x") / DRAWS
    assert liked == pytest.approx(1 / (1 + math.exp(-0.25)), abs=0.012)


def test_a_choice_of_two_is_bradley_terry_with_flips_and_ties() -> None:
    def share(annotator: Annotator, first: float, second: float) -> float:
        random = Random(0)
        chosen = [choose(annotator, (first, second), random) for _ in range(8000)]
        return chosen.count(0) / 8000

    p = 1 / (1 + math.exp(-0.5))
    assert share(Annotator(temperature=2.0), 2.0, 1.0) == pytest.approx(p, abs=0.02)
    assert share(Annotator(temperature=0.01), 2.0, 1.0) == 1.0
    assert share(Annotator(temperature=0.01, flip_rate=0.2), 2.0, 1.0) == pytest.approx(
        0.8, abs=0.02
    )
    assert share(Annotator(temperature=0.01, tie_margin=1.5), 2.0, 1.0) == pytest.approx(
        0.5, abs=0.02
    )


def test_tilting_resamples_half_of_the_responses_as_the_optimum_would() -> None:
    """Prompt a has as many rewards 0 as 1, prompt b only 0; tilting by 0.5 weights 1 by e^2."""
    prompts = ["a", "a", "b", "b"] * 40_000
    gold = [0.0, 1.0, 0.0, 0.0] * 40_000
    drawn = tilted(prompts, gold, 0.5, Random(0))
    assert all(prompts[i] == prompts[j] for i, j in enumerate(drawn))
    of_a = [gold[j] for i, j in enumerate(drawn) if prompts[i] == "a"]
    optimum = math.exp(2) / (1 + math.exp(2))
    assert sum(of_a) / len(of_a) == pytest.approx(0.5 * 0.5 + 0.5 * optimum, abs=0.01)
    assert sum(i == j for i, j in enumerate(drawn)) / len(drawn) == pytest.approx(0.5, abs=0.02)

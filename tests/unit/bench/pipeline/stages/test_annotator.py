"""The simulated annotator, against the distributions that it should follow."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from random import Random
from typing import Any, Literal

import numpy as np
import pytest

from bench.pipeline.stages.annotator import (
    LabelRequest,
    annotate,
    annotate_unpaired,
    choose,
    not_allowed,
    rank,
    sample_requests,
    tilted,
)
from bench.tasks.exact import Exact
from bench.tasks.labeling import Annotator, FeedbackFormat, ResponseSource
from methods.core.feedback import Choice, Label, Pair, Ranking, derive
from methods.core.models.sampling import SamplingParams

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


@pytest.mark.parametrize("strictness", [-1.0, 0.5, 2.0])
def test_a_strict_annotator_likes_fewer_single_responses(strictness: float) -> None:
    """Each as often as it would be chosen over the mean, here 0, plus the strictness."""
    requests = [LabelRequest("a", ("x",), (0.5,)), LabelRequest("a", ("y",), (-0.5,))] * DRAWS
    annotator = Annotator(temperature=2.0, strictness=strictness)
    liked = Counter(
        label.completion for label in annotate_unpaired(requests, annotator, Random(0)) if label[2]
    )
    for response, gold in {"x": 0.5, "y": -0.5}.items():
        expected = 1 / (1 + math.exp(-(gold - strictness) / 2.0))
        assert liked[response] / DRAWS == pytest.approx(expected, abs=0.012)


def test_a_strict_annotator_without_noise_likes_what_exceeds_its_standard() -> None:
    """The rewards 0 to 99 have the mean 49.5: with 30 more, those from 80 on exceed it."""
    requests = [LabelRequest("a", (str(gold),), (float(gold),)) for gold in range(100)]
    annotator = Annotator(temperature=0.01, strictness=30.0)
    liked = [unpaired.label for unpaired in annotate_unpaired(requests, annotator, Random(0))]
    assert liked == [gold >= 80 for gold in range(100)]


@pytest.mark.parametrize("kind", ["pairs", "choices", "rankings"])
def test_strictness_changes_unpaired_labels_alone(
    kind: Literal["pairs", "choices", "rankings"],
) -> None:
    requests = [LabelRequest("a", ("x", "y"), GOLD[:2])] * 200
    strict = Annotator(strictness=2.0)
    labels = annotate(requests, FeedbackFormat(kind), strict, Random(0))
    assert labels == annotate(requests, FeedbackFormat(kind), Annotator(), Random(0))
    unpaired = annotate_unpaired(requests, strict, Random(0))
    assert unpaired != annotate_unpaired(requests, Annotator(), Random(0))


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


LONG = LabelRequest("a", ("x", "y y y </answer>"), (0.0, -1.0))


def shares(labels: list[Label]) -> Counter[str]:
    """Return how often each response was chosen, or came first."""
    first = [label.responses[0] if isinstance(label, Ranking) else label[1] for label in labels]
    return Counter({text: count / len(labels) for text, count in Counter(first).items()})


@pytest.mark.parametrize("kind", ["pairs", "choices", "rankings"])
@pytest.mark.parametrize(("bonus", "likes"), [(0.0, -1.0), (0.5, 0.0), (2.0, 3.0), (-1.0, -3.0)])
def test_length_counts_by_the_word_in_every_kind_of_label(
    kind: str, bonus: float, likes: float
) -> None:
    """The second response is worse by 1 and longer by two words; the end token is no word."""
    annotator = Annotator(length_bonus=bonus)
    labels = annotate([LONG] * DRAWS, FeedbackFormat(kind), annotator, Random(0))  # type: ignore[arg-type]
    assert isinstance(labels[0], {"pairs": Pair, "choices": Choice, "rankings": Ranking}[kind])
    expected = 1 / (1 + math.exp(-likes))
    assert shares(labels)["y y y </answer>"] == pytest.approx(expected, abs=0.012)


def test_length_counts_in_unpaired_labels_against_the_mean() -> None:
    """With 1 for a word the responses are worth 1 and 3 - 1: half above and below their mean."""
    requests = [LONG, LONG._replace(responses=LONG.responses[::-1], gold=LONG.gold[::-1])] * DRAWS
    labels = annotate_unpaired(requests, Annotator(length_bonus=1.0), Random(0))
    liked = sum(unpaired.label for unpaired in labels if unpaired.completion == "x") / DRAWS
    assert liked == pytest.approx(1 / (1 + math.exp(0.5)), abs=0.012)


def test_a_tie_is_between_rewards_as_the_annotator_sees_them() -> None:
    annotator = Annotator(temperature=0.01, tie_margin=0.1, length_bonus=0.5)
    labels = annotate([LONG] * DRAWS, FeedbackFormat(), annotator, Random(0))
    assert shares(labels)["x"] == pytest.approx(0.5, abs=0.012)


def test_without_a_liking_for_length_labels_are_those_of_before() -> None:
    """Digests of labels that were given before there was a bonus."""
    requests = [LabelRequest("a", ("x", "y z", "z"), (1.0, 0.2, -0.5))] * 200
    labels = [
        annotate(requests, FeedbackFormat("choices", 3), Annotator(), Random(0)),
        annotate(requests, FeedbackFormat("rankings", 3), Annotator(), Random(0)),
        annotate_unpaired(requests, Annotator(), Random(0)),
    ]
    digests = [sha256(json.dumps(each).encode()).hexdigest()[:16] for each in labels]
    assert digests == ["d1b88ff53d60625e", "88b9e4ac9d0a18f8", "8458e6d24b452427"]


def test_the_response_source_says_which_responses_are_drawn_again() -> None:
    """Two requests with three responses each: the first of both, the second of both, the third."""
    responses = ["a", "b", "a", "c", "b", "b"]
    assert not_allowed(Exact(), responses, 2) == []
    distinct = Exact(response_source=ResponseSource(distinct=True))
    assert not_allowed(distinct, responses, 2) == [2, 5]
    # Of the second request, every response must begin as the first does.
    alike = Exact(response_source=ResponseSource(shared_start=0.5))
    assert not_allowed(alike, ["a b", "b", "c", "b a", "a", "c"], 2) == [5]
    half = Exact(response_source=ResponseSource(coverage=0.5))
    outside = [i for i, response in enumerate(responses) if not half.is_covered(response)]
    assert not_allowed(half, responses, 2) == outside != []


class Letters:
    """A policy that begins one response in many thousand with a rare letter: the very first."""

    def __init__(self) -> None:
        self.sampled = 0

    def generate(self, prompts: Sequence[str], seed: int, sampling: SamplingParams) -> list[str]:
        random = Random(seed)
        responses = [f"a {random.choice('abc')} </answer>" for _ in prompts]
        if not self.sampled:
            responses[0] = "f a </answer>"
        self.sampled += len(prompts)
        return responses


def test_a_start_that_no_other_response_has_is_given_up() -> None:
    task = Exact(length=2, response_source=ResponseSource(distinct=True, shared_start=1.0))
    policy: Any = Letters()
    gold = task.gold
    requests = sample_requests(task, gold, policy, task.prompts("train"), 20, 2, seed=0)
    pairs = [request.responses for request in requests]
    assert len(pairs) == 20 and all(first != second for first, second in pairs)
    assert {response[0] for pair in pairs for response in pair} == {"a"}
    # One request was sampled some hundred times, and no other was.
    assert policy.sampled < 400

"""The tasks' worlds: gold rewards by hand, prompts that do not leak, an annotator that is fair."""

from __future__ import annotations

import math
from random import Random
from statistics import fmean

import pytest

from bench.pipeline.base_model import make_tokenizer
from bench.pipeline.feedback import choose, tilted
from bench.tasks.base import Annotator
from bench.tasks.exact import PROMPTS, Exact
from bench.tasks.polite import FIXES, Polite

PROMPT = "why is my laptop frozen ?"
FULL = "hello and welcome . sorry about your laptop . please restart the laptop . glad to help ."


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (f"{FULL} </answer>", 6.0),
        (FULL, 4.0),
        ("please restart the laptop . </answer>", 3.0),
        ("just restart the laptop . </answer>", 1.5),
        ("please restart the phone . </answer>", 0.0),
        ("please update the laptop . </answer>", 0.0),
        ("sorry about your phone . </answer>", 0.0),
        ("your phone is junk . </answer>", -1.0),
        ("what now . oh not again . </answer>", -2.0),
        ("glad to help . glad to help . glad to help . </answer>", 0.0),
        ("hello and welcome . thanks for writing . </answer>", 0.5),
        (f"{FULL} {'the ' * 9}</answer>", 6.0 - 0.1 * 3),
        ("</answer>", 0.0),
        ("", -2.0),
    ],
)
def test_polite_gold_by_hand(response: str, expected: float) -> None:
    assert Polite().gold([PROMPT], [response]) == [pytest.approx(expected)]


def test_polite_prompts_are_disjoint_and_each_split_has_every_item_and_problem() -> None:
    task = Polite()
    splits = [task.prompts(split) for split in ("train", "validation", "test")]
    assert len({p for split in splits for p in split}) == sum(map(len, splits)) == 96
    for split in splits:
        assert {prompt.split()[3] for prompt in split} == {p.split()[3] for p in splits[0]}
        assert {prompt.split()[4] for prompt in split} == set(FIXES)


def test_polite_demonstrations_have_the_shares_of_its_dials() -> None:
    task = Polite()
    shown = task.demonstrations(Random(0), 8000)
    right = [f" {FIXES[e.prompt.split()[4]]} the " in e.response for e in shown]
    assert sum(right) / len(right) == pytest.approx(task.right, abs=0.02)
    rude = [" just " in f" {e.response}" or " go " in f" {e.response}" for e in shown]
    assert 0.3 < sum(rude) / len(rude) < 0.8
    assert {e.prompt for e in shown} <= set(task.prompts("train"))


@pytest.mark.parametrize("task", [Polite(), Exact()], ids=["polite", "exact"])
def test_every_word_is_known_and_every_response_fits(task: Polite | Exact) -> None:
    tokenizer = make_tokenizer(task.words())
    for example in task.corpus(Random(0), 500):
        ids = tokenizer(example.response)["input_ids"]
        assert tokenizer.unk_token_id not in ids + tokenizer(example.prompt)["input_ids"]
        assert len(ids) <= task.max_new_tokens


def test_exact_gold_is_a_sum_over_letters_and_neighbors() -> None:
    task, prompt = Exact(), PROMPTS[0]

    def gold(response: str) -> float:
        return task.gold([prompt], [response])[0]

    pair = gold("a b") - gold("a") - (gold("c b") - gold("c"))
    assert pair == pytest.approx(task._scores["a", "b"] - task._scores["c", "b"])
    assert gold("a </answer>") == gold("a")
    assert gold("a <pad>") == pytest.approx(gold("a") - 1)
    assert task.gold([PROMPTS[1]], ["a"]) != task.gold([prompt], ["a"])
    assert Exact(world=1).gold([prompt], ["a"]) != [gold("a")]


def test_exact_text_leans_towards_the_reward_as_far_as_overlap_says() -> None:
    def mean_gold(overlap: float) -> float:
        task = Exact(overlap=overlap)
        shown = task.demonstrations(Random(0), 4000)
        return fmean(task.gold([e.prompt for e in shown], [e.response for e in shown]))

    apart, none, close = map(mean_gold, (-1.0, 0.0, 1.0))
    assert apart < none - 0.5 and close > none + 0.5
    assert Exact(overlap=1.0).gold([PROMPTS[0]], ["a b"]) == Exact().gold([PROMPTS[0]], ["a b"])


def test_annotator_is_bradley_terry_with_flips_and_ties() -> None:
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


def test_a_tilt_draws_half_of_the_responses_as_the_optimum_would() -> None:
    """Prompt a has rewards 0 and 1 evenly: exp(1 / tilt) times as many 1s. Prompt b has only 0."""
    prompts = ["a", "a", "b", "b"] * 40_000
    gold = [0.0, 1.0, 0.0, 0.0] * 40_000
    drawn = tilted(prompts, gold, 0.5, Random(0))
    assert all(prompts[i] == prompts[j] for i, j in enumerate(drawn))
    of_a = [gold[j] for i, j in enumerate(drawn) if prompts[i] == "a"]
    optimum = math.exp(2) / (1 + math.exp(2))
    assert sum(of_a) / len(of_a) == pytest.approx(0.5 * 0.5 + 0.5 * optimum, abs=0.01)
    assert sum(i == j for i, j in enumerate(drawn)) / len(drawn) == pytest.approx(0.5, abs=0.02)

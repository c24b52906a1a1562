"""The tasks' pipelines: gold rewards by hand, prompts that do not leak, an annotator that is fair."""

from __future__ import annotations

import math
import re
from random import Random
from statistics import fmean

import pytest

from bench.pipeline.base_model import make_tokenizer
from bench.pipeline.feedback import choose, tilted
from bench.tasks.base import Annotator, Task
from bench.tasks.exact import PROMPTS, Exact
from bench.tasks.haiku import (
    CLASS,
    FORM,
    PATTERNS,
    SEASON_WORDS,
    SEASONS,
    SYLLABLES,
    Haiku,
    fillings,
)
from bench.tasks.polite import FIXES, Polite
from methods.core.models.text import decode_responses

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


@pytest.mark.parametrize("task", [Polite(), Haiku(), Exact()], ids=lambda task: task.name)
def test_every_word_is_known_and_every_response_fits(task: Task) -> None:
    tokenizer = make_tokenizer(task.words())
    for example in task.corpus(Random(0), 500):
        ids = tokenizer(example.response)["input_ids"]
        assert tokenizer.unk_token_id not in ids + tokenizer(example.prompt)["input_ids"]
        assert decode_responses(tokenizer, [ids]) == [example.response]
        assert len(ids) <= task.max_new_tokens


HAIKU_PROMPT = "write about the moon in winter"
FIRST, SECOND, THIRD = (
    "the snow drifts softly",
    "the river sleeps at midnight",
    "under the pale moon",
)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (f"{FIRST} / {SECOND} / {THIRD} </answer>", 6.0),
        (f"{FIRST} / {SECOND} / {THIRD}", 4.0),
        (f"the snow drifts now / {SECOND} / {THIRD} </answer>", 5.0),
        (f"the blizzard drifts silently / {SECOND} / {THIRD} </answer>", 4.0),
        (f"the lake drifts softly / {SECOND} / {THIRD} </answer>", 4.0),
        (f"the mist drifts softly / {SECOND} / {THIRD} </answer>", 2.0),
        (f"{FIRST} / the harvest sleeps at midnight / {THIRD} </answer>", 4.0),
        (f"{FIRST} / the blizzard sleeps at midnight / {THIRD} </answer>", 6.0),
        (f"{FIRST} / {SECOND} / under the pale lake </answer>", 5.0),
        (f"{FIRST} / the river drifts at midnight / {THIRD} </answer>", 5.5),
        (f"softly drifts the snow / {SECOND} / {THIRD} </answer>", 4.0),
        (f"snow snow snow snow snow / {SECOND} / {THIRD} </answer>", 6.0 - 2 - 4 * 0.5),
        (f"{FIRST} <pad> / {SECOND} / {THIRD} </answer>", 4.0),
        (f"{FIRST} / {THIRD} </answer>", 1 - 1 - 1 + 2 + 1),
        (f"{FIRST} / {SECOND} / {THIRD} / by the lake </answer>", 5.0),
        ("/ / </answer>", -3.0),
        ("</answer>", -3.0),
        ("", -5.0),
    ],
)
def test_haiku_gold_by_hand(response: str, expected: float) -> None:
    assert Haiku().gold([HAIKU_PROMPT], [response]) == [pytest.approx(expected)]


def test_haiku_prompts_are_disjoint_and_each_split_has_every_subject_and_season() -> None:
    task = Haiku()
    splits = [task.prompts(split) for split in ("train", "validation", "test")]
    assert list(map(len, splits)) == [48, 24, 24]
    assert len({prompt for split in splits for prompt in split}) == 96
    for split in splits:
        assert len({prompt.split()[3] for prompt in split}) == 24
        assert {prompt.split()[5] for prompt in split} == set(SEASONS)


def test_haiku_words_have_as_many_syllables_as_groups_of_vowels() -> None:
    """Apart from a silent e at the end, and from five words that spelling does not tell."""
    spelled_otherwise = {"the": 1, "pale": 1, "lonely": 2, "beyond": 2, "nightingale": 3}
    for word, syllables in SYLLABLES.items():
        spoken = re.sub(r"(?<=[^aeioul])e(s?)$", r"\1", word)
        sounds = len(re.findall("[aeiouy]+", spoken))
        assert spelled_otherwise.get(word, sounds) == syllables, word


def test_haiku_lines_that_are_meant_to_be_right_are_right() -> None:
    shown = Haiku(right=1.0, season=1.0, subject=1.0).demonstrations(Random(0), 2000)
    for example in shown:
        lines = example.response.removesuffix(" </answer>").split(" / ")
        assert [sum(SYLLABLES[w] for w in line.split()) for line in lines] == list(FORM)
        _, _, _, subject, _, season = example.prompt.split()
        assert subject in example.response.split()
        assert set(SEASON_WORDS[season]) & set(example.response.split())


def test_haiku_demonstrations_have_the_shares_of_its_dials() -> None:
    task = Haiku()
    shown = task.demonstrations(Random(0), 8000)
    poems = [example.response.removesuffix(" </answer>").split(" / ") for example in shown]
    for i, length in enumerate(FORM):
        right = [sum(SYLLABLES[w] for w in poem[i].split()) == length for poem in poems]
        assert fmean(right) == pytest.approx(task.right, abs=0.02)
    seasonal = [
        bool(set(SEASON_WORDS[example.prompt.split()[5]]) & set(example.response.split()))
        for example in shown
    ]
    assert fmean(seasonal) == pytest.approx(task.season, abs=0.02)
    assert {example.prompt for example in shown} <= set(task.prompts("train"))


def test_haiku_gold_is_largest_for_right_poems_alone() -> None:
    """Over poems and their words shuffled, cut and doubled; what is right is counted anew here."""
    task, random = Haiku(right=0.9, season=0.9, subject=0.9), Random(0)
    best, tried = 0, 0
    for prompt, response in task.demonstrations(random, 4000):
        words = response.split()
        part = words[random.randrange(len(words)) :]
        shuffled = random.sample(words, len(words))
        for tokens in (words, shuffled, words[:-1] + part, words + words, part, words[:-1]):
            [gold] = task.gold([prompt], [" ".join(tokens)])
            assert gold <= 6.0
            assert (gold == 6.0) == is_right(prompt, " ".join(tokens))
            best, tried = best + (gold == 6.0), tried + 1
    assert 1000 < best < tried / 2


def is_right(prompt: str, response: str) -> bool:
    _, _, _, subject, _, season = prompt.split()
    if not response.endswith(" </answer>"):
        return False
    lines = [line.split() for line in response.removesuffix(" </answer>").split(" / ")]
    said = [word for line in lines for word in line]
    if not all(word in SYLLABLES for word in said) or len(lines) != 3:
        return False
    function = {"the", "my", "and", "at", "by", "near", "past", "under", "beneath", "beyond"}
    content = [word for word in said if word not in function]
    others = {word for other in SEASONS if other != season for word in SEASON_WORDS[other]}
    return (
        [sum(SYLLABLES[word] for word in line) for line in lines] == [5, 7, 5]
        and all(tuple(CLASS[word] for word in line) in PATTERNS for line in lines)
        and len(content) == len(set(content))
        and subject in said
        and bool(set(said) & set(SEASON_WORDS[season]))
        and not set(said) & others
    )


def test_any_full_haiku_fits() -> None:
    longest = [max(len(p) for p in PATTERNS if fillings(p, length)[0]) for length in FORM]
    assert sum(longest) + 3 <= Haiku().max_new_tokens


def test_exact_gold_is_a_sum_over_letters_and_neighbors() -> None:
    task, prompt = Exact(), PROMPTS[0]

    def gold(response: str) -> float:
        return task.gold([prompt], [response])[0]

    pair = gold("a b") - gold("a") - (gold("c b") - gold("c"))
    assert pair == pytest.approx(task._scores["a", "b"] - task._scores["c", "b"])
    assert gold("a </answer>") == gold("a")
    assert gold("a <pad>") == pytest.approx(gold("a") - 1)
    assert task.gold([PROMPTS[1]], ["a"]) != task.gold([prompt], ["a"])
    assert Exact(pipeline=1).gold([prompt], ["a"]) != [gold("a")]


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

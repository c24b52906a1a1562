"""haiku: gold rewards by hand, splits, syllables and shares of its text."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from random import Random
from statistics import fmean

import pytest

from bench.tasks.haiku import (
    CLASS,
    PATTERNS,
    SEASON_WORDS,
    SEASONS,
    SYLLABLES,
    Haiku,
    fillings,
)

PROMPT = "write about the moon in winter"
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
def test_gold_by_hand(response: str, expected: float) -> None:
    assert Haiku().gold([PROMPT], [response]) == [pytest.approx(expected)]


def test_prompts_are_disjoint_and_each_split_has_every_subject_and_season() -> None:
    task = Haiku()
    splits = [task.prompts(split) for split in ("train", "validation", "test")]
    assert list(map(len, splits)) == [48, 24, 24]
    assert len({prompt for split in splits for prompt in split}) == 96
    for split in splits:
        assert len({prompt.split()[3] for prompt in split}) == 24
        assert {prompt.split()[5] for prompt in split} == set(SEASONS)


def test_words_have_as_many_syllables_as_groups_of_vowels() -> None:
    """Apart from a silent e at the end, and from five words that spelling does not tell."""
    spelled_otherwise = {"the": 1, "pale": 1, "lonely": 2, "beyond": 2, "nightingale": 3}
    for word, syllables in SYLLABLES.items():
        spoken = re.sub(r"(?<=[^aeioul])e(s?)$", r"\1", word)
        sounds = len(re.findall("[aeiouy]+", spoken))
        assert spelled_otherwise.get(word, sounds) == syllables, word


def test_lines_are_all_correct_with_a_share_of_1() -> None:
    examples = Haiku(right=1.0, season=1.0, subject=1.0).demonstrations(Random(0), 2000)
    for example in examples:
        lines = example.response.removesuffix(" </answer>").split(" / ")
        assert [sum(SYLLABLES[w] for w in line.split()) for line in lines] == [5, 7, 5]
        _, _, _, subject, _, season = example.prompt.split()
        assert subject in example.response.split()
        assert set(SEASON_WORDS[season]) & set(example.response.split())


def test_demonstrations_have_the_shares_of_the_options() -> None:
    task = Haiku()
    examples = task.demonstrations(Random(0), 8000)
    poems = [example.response.removesuffix(" </answer>").split(" / ") for example in examples]
    for i, length in enumerate(task.form):
        right = [sum(SYLLABLES[w] for w in poem[i].split()) == length for poem in poems]
        assert fmean(right) == pytest.approx(task.right, abs=0.02)
    seasonal = [
        bool(set(SEASON_WORDS[example.prompt.split()[5]]) & set(example.response.split()))
        for example in examples
    ]
    assert fmean(seasonal) == pytest.approx(task.season, abs=0.02)
    assert {example.prompt for example in examples} <= set(task.prompts("train"))


def test_gold_is_largest_for_correct_poems_alone() -> None:
    """Over poems and their words shuffled, cut and doubled; `is_correct` counts independently."""
    task, random = Haiku(right=0.9, season=0.9, subject=0.9), Random(0)
    best, tried = 0, 0
    for prompt, response in task.demonstrations(random, 4000):
        words = response.split()
        part = words[random.randrange(len(words)) :]
        shuffled = random.sample(words, len(words))
        for tokens in (words, shuffled, words[:-1] + part, words + words, part, words[:-1]):
            [gold] = task.gold([prompt], [" ".join(tokens)])
            assert gold <= 6.0
            assert (gold == 6.0) == is_correct(prompt, " ".join(tokens))
            best, tried = best + (gold == 6.0), tried + 1
    assert 1000 < best < tried / 2


def is_correct(prompt: str, response: str) -> bool:
    _, _, _, subject, _, season = prompt.split()
    if not response.endswith(" </answer>"):
        return False
    lines = [line.split() for line in response.removesuffix(" </answer>").split(" / ")]
    words = [word for line in lines for word in line]
    if not all(word in SYLLABLES for word in words) or len(lines) != 3:
        return False
    function = {"the", "my", "and", "at", "by", "near", "past", "under", "beneath", "beyond"}
    content = [word for word in words if word not in function]
    others = {word for other in SEASONS if other != season for word in SEASON_WORDS[other]}
    return (
        [sum(SYLLABLES[word] for word in line) for line in lines] == [5, 7, 5]
        and all(tuple(CLASS[word] for word in line) in PATTERNS for line in lines)
        and len(content) == len(set(content))
        and subject in words
        and bool(set(words) & set(SEASON_WORDS[season]))
        and not set(words) & others
    )


@pytest.mark.parametrize("lines", [2, 3, 4, 5])
def test_every_correct_poem_fits(lines: int) -> None:
    task = Haiku(lines=lines)
    assert task.form == (5, 7, 5, 7, 7)[:lines]
    longest = [max(len(p) for p in PATTERNS if fillings(p, length)[0]) for length in task.form]
    assert sum(longest) + lines <= task.max_new_tokens


def test_defaults_give_the_text_and_the_rewards_that_they_gave_without_the_option() -> None:
    """Digests of corpus, demonstrations and gold rewards, taken before there were lines."""
    task, random = Haiku(), Random(2)
    corpus, demonstrations = task.corpus(Random(0), 500), task.demonstrations(Random(1), 500)
    gold = []
    for prompt, response in demonstrations:
        words = response.split()
        for tokens in (words, random.sample(words, len(words)), words[:-1], words + words):
            gold += task.gold([prompt], [" ".join(tokens)])
    digests = [
        sha256(json.dumps(v).encode()).hexdigest()[:16] for v in (corpus, demonstrations, gold)
    ]
    assert digests == ["d475fb3870d0a435", "b1b7e048febe09d6", "599f96b07e0e1096"]
    assert task.max_new_tokens == 24


@pytest.mark.parametrize(
    ("lines", "response", "expected"),
    [
        (2, f"{FIRST} / the moon sleeps at midnight </answer>", 1 + 0 + 2 + 1),
        (2, f"{FIRST} / {SECOND} / {THIRD} </answer>", 5.0 - 1.0),
        (3, f"{FIRST} / {SECOND} / {THIRD} </answer>", 6.0),
        (5, f"{FIRST} / {SECOND} / {THIRD} </answer>", 6.0 - 2.0),
    ],
)
def test_gold_by_hand_with_other_numbers_of_lines(
    lines: int, response: str, expected: float
) -> None:
    assert Haiku(lines=lines).gold([PROMPT], [response]) == [pytest.approx(expected)]


@pytest.mark.parametrize("lines", [2, 4, 5])
def test_text_has_the_lines_of_the_form(lines: int) -> None:
    task = Haiku(lines=lines, right=1.0, season=1.0, subject=1.0)
    examples = task.demonstrations(Random(0), 1000)
    for prompt, response in examples:
        poem = response.removesuffix(" </answer>").split(" / ")
        assert [sum(SYLLABLES[w] for w in line.split()) for line in poem] == list(task.form)
        _, _, _, subject, _, season = prompt.split()
        assert set(SEASON_WORDS[season]) & set(response.split())
        assert subject in response.split()


def test_each_line_makes_a_right_poem_rarer() -> None:
    def share(lines: int) -> float:
        task = Haiku(lines=lines)
        examples = task.demonstrations(Random(0), 3000)
        golds = task.gold([e.prompt for e in examples], [e.response for e in examples])
        return fmean(gold == lines + 3 for gold in golds)

    two, three, four, five = map(share, (2, 3, 4, 5))
    assert two > three + 0.05 > four + 0.05 > five

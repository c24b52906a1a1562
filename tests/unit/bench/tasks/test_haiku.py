"""haiku: gold rewards by hand, splits, syllables and shares of its text."""

from __future__ import annotations

import re
from random import Random
from statistics import fmean

import pytest

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
        assert [sum(SYLLABLES[w] for w in line.split()) for line in lines] == list(FORM)
        _, _, _, subject, _, season = example.prompt.split()
        assert subject in example.response.split()
        assert set(SEASON_WORDS[season]) & set(example.response.split())


def test_demonstrations_have_the_shares_of_the_options() -> None:
    task = Haiku()
    examples = task.demonstrations(Random(0), 8000)
    poems = [example.response.removesuffix(" </answer>").split(" / ") for example in examples]
    for i, length in enumerate(FORM):
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


def test_every_correct_haiku_fits() -> None:
    longest = [max(len(p) for p in PATTERNS if fillings(p, length)[0]) for length in FORM]
    assert sum(longest) + 3 <= Haiku().max_new_tokens

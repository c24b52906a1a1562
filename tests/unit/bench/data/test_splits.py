"""No prompt is in two splits, the splits have their shares, and repeats are counted."""

from __future__ import annotations

import hashlib
import random
from collections import Counter

import pytest

from bench.data.forms import to_label
from bench.data.splits import Shares, count_duplicates, split_labels, split_of, subsample
from methods.core.feedback import Label, Pair, Ranking, Unpaired
from methods.core.models.text import to_prompt

SHARES = Shares()


def talk(generator: random.Random) -> list[dict[str, str]]:
    texts = [" ".join(generator.choices("abcdef", k=4)) for _ in range(generator.choice([1, 3, 5]))]
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def test_no_prompt_and_no_beginning_of_a_dialogue_is_in_two_splits() -> None:
    generator = random.Random(0)
    talks = [talk(generator) for _ in range(1000)]
    labels: list[Label] = [
        Unpaired(to_prompt(turns[:length]), f"{generator.random()}", True)
        for turns in talks
        for length in range(1, len(turns) + 1, 2)
    ]
    generator.shuffle(labels)
    splits = split_labels(labels, SHARES)
    assert list(splits) == ["train", "judge", "validation", "test"]
    assert sum(map(len, splits.values())) == len(labels)
    places = {label: place for place, label in enumerate(labels)}
    for part in splits.values():
        # In the order of the file.
        assert [places[label] for label in part] == sorted(places[label] for label in part)
    for turns in talks:
        names = {split_of(to_prompt(turns[:n]), SHARES) for n in range(1, len(turns) + 1)}
        assert len(names) == 1
    prompts = [{label.prompt for label in part} for part in splits.values()]
    assert sum(map(len, prompts)) == len(set().union(*prompts))


def test_the_same_words_are_in_the_same_split_however_they_are_written() -> None:
    for i in range(200):
        turns = [{"role": "user", "content": f"question {i}"}]
        name = split_of(f"question {i}", SHARES)
        assert split_of(f" question\n\t{i} ", SHARES) == name
        with_system = [{"role": "system", "content": "be nice"}, *turns]
        assert split_of(to_prompt(with_system), SHARES) == name
        # HH's text, as plain models have it.
        row = {"chosen": f"\n\nHuman: question {i}\n\nAssistant: a", "rejected": ""}
        row["rejected"] = row["chosen"] + "b"
        for plain in (False, True):
            assert split_of(to_label(row, plain=plain).prompt, SHARES) == name


def test_a_split_does_not_depend_on_what_else_there_is() -> None:
    pairs: list[Label] = [Pair(f"p{i}", "a", "b") for i in range(100)]
    one_by_one = {
        pair: name for pair in pairs for name, part in split_labels([pair], SHARES).items() if part
    }
    at_once = {pair: name for name, part in split_labels(pairs, SHARES).items() for pair in part}
    assert one_by_one == at_once


def test_the_split_is_where_the_hash_falls() -> None:
    """It must not change between versions, or a later one tests on what an earlier one trained."""
    for i in range(300):
        place = int(hashlib.sha256(b"p%d" % i).hexdigest()[:12], 16) / 16**12
        ends = {"train": 0.6, "judge": 0.8, "validation": 0.9, "test": 1.0}
        expected = next(name for name, end in ends.items() if place < end)
        assert split_of(f" p{i}\n", SHARES) == expected


def test_shares_are_about_right() -> None:
    for shares in (SHARES, Shares(0.5, 0.25, 0.25, 0)):
        counts = Counter(split_of(f"prompt {i}", shares) for i in range(5000))
        for name in ("train", "judge", "validation", "test"):
            share = getattr(shares, name)
            # Four standard deviations.
            allowed = 4 * (share * (1 - share) / 5000) ** 0.5
            assert counts[name] / 5000 == pytest.approx(share, abs=allowed)
    assert {split_of(f"{i}", Shares(0, 0, 0, 1)) for i in range(50)} == {"test"}


@pytest.mark.parametrize(
    ("shares", "complaint"),
    [
        ((0.5, 0.2, 0.1, 0.1), "must sum to 1, not 0.9"),
        ((1.2, -0.2, 0, 0), "'train' must be from 0 to 1, not 1.2"),
        ((0.6, 0.2, 0.2, float("nan")), "'test' must be from 0 to 1, not nan"),
    ],
)
def test_shares_must_sum_to_1(shares: tuple[float, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Shares(*shares)


def test_a_subsample_is_the_same_however_the_prompts_are_sorted() -> None:
    prompts = [f"prompt {i}" for i in range(100)]
    taken = subsample(prompts, 10)
    assert taken == subsample(prompts[::-1], 10) and len(set(taken)) == 10
    assert taken != prompts[:10]
    assert sorted(subsample(prompts, 1000)) == sorted(prompts)


def test_repeats_and_contradictions_are_counted() -> None:
    a, b = Pair("p", "a", "b"), Pair("p", "b", "a")
    assert count_duplicates([a, Pair("q", "b", "a"), Pair("p", "a", "c")]) == (0, 0)
    assert count_duplicates([a, b, a, a, b]) == (3, 1)
    liked, disliked = Unpaired("p", "a", True), Unpaired("p", "a", False)
    assert count_duplicates([liked, liked, disliked, Unpaired("p", "b", False)]) == (1, 1)
    best_first = Ranking("p", ("a", "b", "c"))
    assert count_duplicates([best_first, best_first, Ranking("p", ("c", "b", "a"))]) == (1, 1)
    assert count_duplicates([best_first, Ranking("p", ("b", "a", "c"))]) == (0, 0)

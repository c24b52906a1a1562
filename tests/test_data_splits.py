"""Nothing is on two sides, the sides are as large as asked for, and repeats are counted."""

from __future__ import annotations

import hashlib
import random
from collections import Counter

import pytest

from bench.data.forms import to_label
from bench.data.splits import Shares, duplicates, split, split_of
from methods.core.feedback import Label, Pair, Ranking, Unpaired
from methods.core.models.text import to_prompt

SHARES = Shares()


def talk(generator: random.Random) -> list[dict[str, str]]:
    said = [" ".join(generator.choices("abcdef", k=4)) for _ in range(generator.choice([1, 3, 5]))]
    return [{"role": ("user", "assistant")[i % 2], "content": s} for i, s in enumerate(said)]


def test_no_prompt_and_no_beginning_of_a_dialogue_is_on_two_sides() -> None:
    generator = random.Random(0)
    talks = [talk(generator) for _ in range(1000)]
    labels: list[Label] = [
        Unpaired(to_prompt(turns[:length]), f"{generator.random()}", True)
        for turns in talks
        for length in range(1, len(turns) + 1, 2)
    ]
    generator.shuffle(labels)
    parts = split(labels, SHARES)
    assert list(parts) == ["train", "judge", "validation", "test"]
    assert sum(map(len, parts.values())) == len(labels)
    for judged in parts.values():
        # In the order of the file.
        places = {label: place for place, label in enumerate(labels)}
        assert [places[label] for label in judged] == sorted(places[j] for j in judged)
    for turns in talks:
        sides = {split_of(to_prompt(turns[:n]), SHARES) for n in range(1, len(turns) + 1)}
        assert len(sides) == 1
    prompts = [{label.prompt for label in part} for part in parts.values()]
    assert sum(map(len, prompts)) == len(set().union(*prompts))


def test_the_same_words_are_on_the_same_side_however_they_are_written() -> None:
    for i in range(200):
        turns = [{"role": "user", "content": f"question {i}"}]
        side = split_of(f"question {i}", SHARES)
        assert split_of(f" question\n\t{i} ", SHARES) == side
        assert (
            split_of(to_prompt([{"role": "system", "content": "be nice"}, *turns]), SHARES) == side
        )
        # HH's text, as plain models have it.
        row = {"chosen": f"\n\nHuman: question {i}\n\nAssistant: a", "rejected": ""}
        row["rejected"] = row["chosen"] + "b"
        for plain in (False, True):
            assert split_of(to_label(row, plain=plain).prompt, SHARES) == side


def test_sides_do_not_depend_on_what_else_there_is() -> None:
    pairs: list[Label] = [Pair(f"p{i}", "a", "b") for i in range(100)]
    alone = {j: side for j in pairs for side, part in split([j], SHARES).items() if part}
    together = {j: side for side, part in split(pairs, SHARES).items() for j in part}
    assert alone == together


def test_the_side_is_where_the_hash_falls() -> None:
    """It must stay so from version to version: what was trained on must not be tested on later."""
    for i in range(300):
        place = int(hashlib.sha256(b"p%d" % i).hexdigest()[:12], 16) / 16**12
        parts = {"train": 0.6, "judge": 0.8, "validation": 0.9, "test": 1.0}
        expected = next(name for name, end in parts.items() if place < end)
        assert split_of(f" p{i}\n", SHARES) == expected


def test_shares_are_about_right() -> None:
    shares = Shares(0.5, 0.25, 0.25, 0)
    for asked in (SHARES, shares):
        counts = Counter(split_of(f"prompt {i}", asked) for i in range(5000))
        for name in ("train", "judge", "validation", "test"):
            share = getattr(asked, name)
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


def test_duplicates() -> None:
    a, b = Pair("p", "a", "b"), Pair("p", "b", "a")
    assert duplicates([a, Pair("q", "b", "a"), Pair("p", "a", "c")]) == (0, 0)
    assert duplicates([a, b, a, a, b]) == (3, 1)
    up, down = Unpaired("p", "a", True), Unpaired("p", "a", False)
    assert duplicates([up, up, down, Unpaired("p", "b", False)]) == (1, 1)
    best_first = Ranking("p", ("a", "b", "c"))
    assert duplicates([best_first, best_first, Ranking("p", ("c", "b", "a"))]) == (1, 1)
    assert duplicates([best_first, Ranking("p", ("b", "a", "c"))]) == (0, 0)

"""polite: gold rewards by hand, splits and shares of its text."""

from __future__ import annotations

from random import Random

import pytest

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
def test_gold_by_hand(response: str, expected: float) -> None:
    assert Polite().gold([PROMPT], [response]) == [pytest.approx(expected)]


def test_prompts_are_disjoint_and_each_split_has_every_item_and_problem() -> None:
    task = Polite()
    splits = [task.prompts(split) for split in ("train", "validation", "test")]
    assert len({p for split in splits for p in split}) == sum(map(len, splits)) == 96
    for split in splits:
        assert {prompt.split()[3] for prompt in split} == {p.split()[3] for p in splits[0]}
        assert {prompt.split()[4] for prompt in split} == set(FIXES)


def test_demonstrations_have_the_shares_of_the_options() -> None:
    task = Polite()
    examples = task.demonstrations(Random(0), 8000)
    right = [f" {FIXES[e.prompt.split()[4]]} the " in e.response for e in examples]
    assert sum(right) / len(right) == pytest.approx(task.right, abs=0.02)
    rude = [" just " in f" {e.response}" or " go " in f" {e.response}" for e in examples]
    assert 0.3 < sum(rude) / len(rude) < 0.8
    assert {e.prompt for e in examples} <= set(task.prompts("train"))

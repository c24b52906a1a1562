"""What somebody who must choose a method can take from claims."""

from __future__ import annotations

import pytest
from helpers.claims import Effect, with_verdicts

from bench.report.claims.choosing import choices


@pytest.mark.parametrize(
    ("effects", "expected"),
    [
        ([Effect(0.5)], ["dpo and ppo: dpo has 0.50 [0.49, 0.51] more reward."]),
        ([Effect(-0.5)], ["dpo and ppo: ppo has 0.50 [0.49, 0.51] more reward."]),
        ([Effect(0.01)], ["dpo and ppo: no difference above 0.1 in reward."]),
        ([Effect(0.05, 0.6)], ["Not told apart in reward: dpo and ppo."]),
        ([Effect(0.05, 0.6), Effect(0.5)], ["dpo and ppo: dpo has 0.50 [0.49, 0.51] more reward."]),
        ([Effect(None)], ["Not told apart in reward: dpo and ppo."]),
        # A slope is no comparison of two methods.
        ([Effect(-5.0, levels=True)], []),
    ],
)
def test_a_sentence_says_which_method_has_more(effects: list[Effect], expected: list[str]) -> None:
    assert choices(with_verdicts({"one": effects})) == expected


@pytest.mark.parametrize("privileged", ["dpo", "ppo"])
def test_a_method_that_was_given_the_gold_reward_cannot_be_chosen(privileged: str) -> None:
    assert choices(with_verdicts({"one": [Effect(0.5)]}, privileged=frozenset({privileged}))) == []


def test_two_methods_have_one_sentence_that_says_which_of_several_conditions() -> None:
    claims = {
        "few": [Effect(0.5)],
        "the same": [Effect(0.5)],
        "many": [Effect(0.7), Effect(-0.3), Effect(0.01), Effect(1.0, levels=True)],
    }
    assert choices(with_verdicts(claims)) == [
        "dpo and ppo: dpo has 0.50 [0.49, 0.51] more reward; contrast 1: +0.70 [0.69, 0.71] in "
        "reward; contrast 2: -0.30 [-0.31, -0.29] in reward; contrast 3: no difference above 0.1 "
        "in reward."
    ]

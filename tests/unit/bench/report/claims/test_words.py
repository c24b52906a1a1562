"""What claims amount to, in words."""

from __future__ import annotations

import pytest
from helpers.claims import Effect, all_verdicts, with_verdicts

from bench.analysis.statistics import Interval
from bench.report.claims.rows import Condition
from bench.report.claims.words import grounds, headline, tally, turn_text, two_methods


def ground_of(effect: Effect) -> str:
    [result] = with_verdicts({"one": [effect]})
    [ground] = grounds(result)
    assert ground.outcome == result.decisions[0].outcome
    return ground.text


def test_the_headline_counts_verdicts() -> None:
    claims = all_verdicts()
    assert headline(claims) == (
        "Of 4 claims tested, 1 holds here, 1 holds in part, 1 does not hold here and 1 is not "
        "decided."
    )
    assert headline(claims[:1] * 3) == "Of 3 claims tested, 3 are not decided."
    assert headline(claims[:1]) == "Of 1 claim tested, 1 is not decided."
    assert headline([]) == "No claim was tested."


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        (Effect(0.5), r"dpo is 0.50 [0.49, 0.51] above ppo in reward"),
        (
            Effect(-0.5),
            "dpo is 0.50 [0.49, 0.51] below ppo in reward; predicted: higher",
        ),
        (Effect(-0.5, predicted="lower"), "dpo is 0.50 [0.49, 0.51] below ppo in reward"),
        (
            Effect(-0.02, predicted="higher"),
            "Contrast 1: -0.02 [-0.03, -0.01] in reward, too small to matter (bound 0.1); "
            "predicted: higher",
        ),
        (Effect(0.05, 0.6), "Contrast 1: +0.05 [-0.30, 0.40] in reward; predicted: higher"),
        (Effect(None), "Contrast 1: no seed has a value"),
        (
            Effect(-5.0, levels=True),
            "Contrast 1: -5.00 [-5.01, -4.99] in reward per unit of level; predicted: higher",
        ),
    ],
)
def test_a_sentence_says_who_is_above_whom(effect: Effect, expected: str) -> None:
    assert ground_of(effect) == expected


def test_the_contrast_is_named_where_there_are_several_tasks() -> None:
    [result] = with_verdicts({"one": [Effect(0.5), Effect(0.5, levels=True)]})
    assert grounds(result)[0].text == "Contrast 1: +0.50 [0.49, 0.51] in reward"


def test_more_than_a_number_is_not_said_of_the_methods_alone() -> None:
    contrast = with_verdicts({"one": [Effect(0.5)]})[0].tested.claim.contrasts[0]
    assert two_methods(contrast) == ("dpo", "ppo")
    assert two_methods(contrast.model_copy(update={"than": 0.3})) is None


def test_a_claim_that_holds_in_part_has_a_contrast_for_each_part() -> None:
    part = next(result for result in all_verdicts() if result.verdict == "holds in part")
    assert [ground.outcome for ground in grounds(part)] == ["holds", "refuted"]
    assert ["above" in ground.text for ground in grounds(part)] == [True, False]


def test_the_clearest_contrast_is_shown_of_what_is_decided_and_of_what_is_not() -> None:
    effects = [Effect(0.05, 0.6), Effect(0.2, 0.6), Effect(0.5, 0.2), Effect(0.5)]
    [result] = with_verdicts({"one": effects})
    outcomes = [decision.outcome for decision in result.decisions]
    assert outcomes == ["not decided", "not decided", "holds", "holds"]
    shown = [ground.text for ground in grounds(result)]
    assert shown[0].startswith("dpo is 0.50 [0.49, 0.51] above") and "+0.20" in shown[1]
    assert tally(result) == "2 as predicted, 2 not decided"


def test_the_levels_at_which_one_side_is_ahead_are_said() -> None:
    def condition(level: float, low: float, high: float) -> Condition:
        return Condition("any", level, 1.0, Interval((low + high) / 2, low, high, 3))

    ahead, behind = condition(0.5, 0.1, 0.2), condition(-1.0, -0.3, -0.1)
    unclear = [condition(0.2, -0.1, 0.1), condition(0.0, 0.0, 0.0)]
    assert turn_text([ahead, *unclear, behind]) == (
        "above 0 at 0.5; below 0 at -1; either side of 0 at 0 and 0.2"
    )
    assert turn_text([ahead, ahead]) == "above 0 at every level" and turn_text([]) == ""

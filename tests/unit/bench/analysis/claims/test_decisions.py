"""Decisions on contrasts and claims."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from bench.analysis.claims.decisions import claim_verdict, decide, evidence, is_decided
from bench.analysis.claims.results import Tested, declared_contrasts, judge
from bench.analysis.claims.values import CONDITION_COLUMNS
from bench.config.claim import ClaimContrast, load_claim

# Differences around 0 that a t-test cannot tell from 0.
NOISE = np.array([0.3, -0.2, 0.1, -0.4, 0.25, -0.05, 0.15, -0.15, 0.2, -0.3, 0.05, 0.05])


def contrast(predicted: str, bound: float = 1.0) -> ClaimContrast:
    return ClaimContrast.model_validate(
        {
            "name": "it",
            "quantity": "reward",
            "of": "dpo",
            "task": "a",
            "predicted": predicted,
            "bound": bound,
        }
    )


def outcome(predicted: str, mean: float, bound: float, looks: Sequence[int] = (12,)) -> str:
    of = contrast(predicted, bound)
    found = evidence(pd.Series(NOISE + mean), looks, 12, bound)
    return decide({("c", "it"): of}, {("c", "it"): found})["c", "it"].outcome


@pytest.mark.parametrize(
    ("predicted", "mean", "bound", "expected"),
    [
        ("higher", 2.0, 1.0, "holds"),
        ("higher", -2.0, 1.0, "refuted"),
        # Too small to matter.
        ("higher", 0.0, 1.0, "refuted"),
        ("higher", 0.3, 1.0, "refuted"),
        ("higher", 0.0, 0.01, "not decided"),
        ("lower", -2.0, 1.0, "holds"),
        ("lower", 2.0, 1.0, "refuted"),
        ("equal", 0.0, 1.0, "holds"),
        ("equal", 2.0, 1.0, "refuted"),
        ("equal", 0.0, 0.01, "not decided"),
        ("not lower", 2.0, 1.0, "holds"),
        ("not lower", -0.3, 1.0, "holds"),
        ("not lower", -2.0, 1.0, "refuted"),
        # Lower than 0 for sure, but by more than the bound or by less?
        ("not lower", -1.0, 1.0, "not decided"),
        ("equal", 1.0, 1.0, "not decided"),
        ("not lower", 0.0, 0.01, "not decided"),
        ("not higher", -2.0, 1.0, "holds"),
        ("not higher", 2.0, 1.0, "refuted"),
        ("not higher", 1.0, 1.0, "not decided"),
    ],
)
def test_what_a_contrast_says_of_its_prediction(
    predicted: str, mean: float, bound: float, expected: str
) -> None:
    assert outcome(predicted, mean, bound) == expected


@pytest.mark.parametrize("predicted", ["equal", "not lower", "not higher"])
@pytest.mark.parametrize(("mean", "false"), [(0.49, "refuted"), (0.51, "holds")])
def test_near_the_bound_neither_answer_is_false_too_often(
    predicted: str, mean: float, false: str
) -> None:
    """Twelve normal seeds whose mean lies just inside or just outside of the bound."""
    draws = np.random.default_rng(0).normal(
        -mean if predicted == "not lower" else mean, 1, (400, 12)
    )
    answers = []
    for values in draws:
        found = evidence(pd.Series(values), [12], 12, 0.5)
        of = {("c", "it"): contrast(predicted, 0.5)}
        answers.append(decide(of, {("c", "it"): found})["c", "it"].outcome)
    # With a true share of 5%, one run in 1,000 has more than 8.4%.
    assert answers.count(false) / len(answers) < 0.084


def test_all_contrasts_share_the_error() -> None:
    values = pd.Series(NOISE + 0.17)
    found = evidence(values, [12], 12, 0.01)
    assert 0.01 < found.difference_p < 0.05
    alone = decide({("c", "it"): contrast("higher", 0.01)}, {("c", "it"): found})
    assert alone["c", "it"].outcome == "holds"
    others = {("c", str(i)): contrast("higher") for i in range(20)}
    among = decide({("c", "it"): contrast("higher", 0.01), **others}, {("c", "it"): found})
    assert among["c", "it"].outcome == "not decided"


def test_an_early_look_needs_more() -> None:
    values = pd.Series(NOISE[:6] + 0.25)
    late, early = (evidence(values, [6], most, 0.01) for most in (6, 12))
    assert late.difference_p < 0.1 < early.difference_p
    assert late.mean == early.mean


def test_more_seeds_than_planned_are_one_look() -> None:
    claim = load_claim("kto_no_worse_than_dpo")
    rows = [["half_liked", None, 1.0, seed, 2.0 + NOISE[seed % 12]] for seed in range(20)]
    frames = [pd.DataFrame(rows, columns=CONDITION_COLUMNS) for _ in claim.claim.contrasts]
    tested = Tested(claim.name, claim.claim, [20], frames, [], 1.0, frozenset())
    assert all(len(found.values) == 20 for found in tested.evidences())
    [judged] = judge([tested], declared_contrasts([tested]))
    assert judged.verdict == "holds here"


def test_without_seeds_nothing_is_decided() -> None:
    found = evidence(pd.Series(dtype=float), [6, 12], 12, 1.0)
    assert found.decided_at("not lower") == 1.0
    assert outcome("equal", 0.0, 1.0, looks=[1]) == "not decided"


def test_seeds_are_added_until_all_contrasts_are_decided() -> None:
    clear, noise = (evidence(pd.Series(NOISE + m), [12], 12, 0.01) for m in (3.0, 0.0))
    contrasts = [contrast("higher", 0.01), contrast("lower", 0.01)]
    assert is_decided(contrasts, [clear, clear], 40)
    assert not is_decided(contrasts, [clear, noise], 2)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (["holds", "holds"], "holds here"),
        (["holds", "refuted"], "holds in part"),
        (["holds", "refuted", "not decided"], "holds in part"),
        (["refuted", "not decided"], "does not hold here"),
        (["holds", "not decided"], "not decided"),
        (["not decided"], "not decided"),
    ],
)
def test_what_contrasts_say_of_the_claim(outcomes: list, expected: str) -> None:
    assert claim_verdict(outcomes) == expected

"""Decisions on contrasts and claims."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from helpers.synthetic import make_results

from bench.analysis.claims.decisions import (
    Evidence,
    claim_verdict,
    decide,
    evidence,
    is_hopeless,
    needs_no_seeds,
)
from bench.analysis.claims.results import Tested, claim_results, declared_contrasts, measured
from bench.analysis.claims.values import CONDITION_COLUMNS
from bench.analysis.statistics import SIGNIFICANCE
from bench.config.claim import ClaimContrast, NamedClaim, Side, load_claim

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


def at_looks(values: pd.Series, looks: Sequence[int], most: int, bound: float) -> Evidence:
    return evidence([values[values.index < look] for look in looks], looks, most, bound)


def outcome(predicted: str, mean: float, bound: float, looks: Sequence[int] = (12,)) -> str:
    of = contrast(predicted, bound)
    found = at_looks(pd.Series(NOISE + mean), looks, 12, bound)
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
        found = at_looks(pd.Series(values), [12], 12, 0.5)
        of = {("c", "it"): contrast(predicted, 0.5)}
        answers.append(decide(of, {("c", "it"): found})["c", "it"].outcome)
    # With a true share of 5%, one run in 1,000 has more than 8.4%.
    assert answers.count(false) / len(answers) < 0.084


def test_all_contrasts_share_the_error() -> None:
    values = pd.Series(NOISE + 0.17)
    found = at_looks(values, [12], 12, 0.01)
    assert 0.01 < found.difference_p < 0.05
    alone = decide({("c", "it"): contrast("higher", 0.01)}, {("c", "it"): found})
    assert alone["c", "it"].outcome == "holds"
    others = {("c", str(i)): contrast("higher") for i in range(20)}
    among = decide({("c", "it"): contrast("higher", 0.01), **others}, {("c", "it"): found})
    assert among["c", "it"].outcome == "not decided"


def test_an_early_look_needs_more() -> None:
    values = pd.Series(NOISE[:6] + 0.25)
    late, early = (at_looks(values, [6], most, 0.01) for most in (6, 12))
    assert late.difference_p < 0.1 < early.difference_p
    assert late.mean == early.mean


def test_more_seeds_than_planned_are_one_look() -> None:
    claim = load_claim("kto_no_worse_than_dpo")
    rows = [["half_liked", None, 1.0, seed, 2.0 + NOISE[seed % 12]] for seed in range(20)]
    frames = [pd.DataFrame(rows, columns=CONDITION_COLUMNS) for _ in claim.claim.contrasts]
    values = [[frame.set_index("seed")["value"]] for frame in frames]
    of_claim = Tested(claim.name, claim.claim, [20], frames, values, [], 1.0, frozenset())
    assert all(len(found.values) == 20 for found in of_claim.evidences())
    [result] = claim_results([of_claim], declared_contrasts([of_claim]))
    assert result.verdict == "holds here"


def test_without_seeds_nothing_is_decided() -> None:
    found = at_looks(pd.Series(dtype=float), [6, 12], 12, 1.0)
    assert found.decided_at("not lower") == 1.0
    assert outcome("equal", 0.0, 1.0, looks=[1]) == "not decided"


def needs_more(*means: float, look: int = 12, most: int = 18) -> bool:
    """Return whether a claim needs more seeds, one of its contrasts having each of these means."""
    values = [pd.Series(NOISE[:look] + mean, dtype=float) for mean in means]
    return not needs_no_seeds(
        [contrast("higher", 0.01) for _ in means],
        [at_looks(seen, [look], most, 0.01) for seen in values],
        of_all=40,
        fraction=look / most,
    )


def test_seeds_are_added_while_one_contrast_may_be_decided() -> None:
    assert not needs_more(3.0, -3.0)
    assert needs_more(3.0, 0.22)
    # The third will not be decided by six more seeds.
    assert not needs_more(3.0, 0.05)
    assert needs_more(3.0, 0.05, 0.22)


def test_of_a_contrast_without_values_nothing_is_said() -> None:
    nothing = at_looks(pd.Series(dtype=float), [12], 12, 1.0)
    assert not is_hopeless(contrast("higher"), nothing, 0.5, 0.05)


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


def test_a_difference_that_may_prove_too_small_is_not_final() -> None:
    small, large = (at_looks(pd.Series(NOISE / 4 + m), [12], 12, 0.6) for m in (0.545, 2.0))
    assert small.difference_p < SIGNIFICANCE / 72 < small.equivalence_p < SIGNIFICANCE
    assert decide_alone(small, at=72) == "holds" and decide_alone(small, at=1) == "refuted"
    assert not small.is_final("higher", SIGNIFICANCE / 72)
    assert large.is_final("higher", SIGNIFICANCE / 72)


def decide_alone(evidence: Evidence, at: int) -> str:
    """Return the outcome of one contrast among so many, of which all others show nothing."""
    declared = {("c", str(number)): contrast("higher", 0.6) for number in range(at)}
    return decide(declared, {("c", "0"): evidence})["c", "0"].outcome


def test_an_earlier_look_counts_the_settings_that_were_selected_then() -> None:
    """Beta 1 is better at the first two seeds, beta 2 over all four."""
    claim = load_claim("kto_no_worse_than_dpo").claim
    of = contrast("higher").model_copy(update={"of": Side(method="dpo"), "minus": None})
    one = NamedClaim("c", claim.model_copy(update={"contrasts": [of], "factors": {}}))
    rewards = {1.0: [3.0, 3.0, 0.0, 0.0], 2.0: [2.0, 2.0, 2.0, 2.0]}
    rows = [
        {"params": json.dumps({"beta": beta}), "strength": beta, "seed": seed, "split": split}
        | {"task": "a", "method": "dpo", "status": "ok", "reward": reward}
        for beta, of_seeds in rewards.items()
        for seed, reward in enumerate(of_seeds)
        for split in ("validation", "test")
    ]
    results = make_results({"runs": pd.DataFrame(rows)})
    [numbers] = measured(one, [2, 4], results).values
    assert [number.tolist() for number in numbers] == [[3.0, 3.0], [2.0, 2.0, 2.0, 2.0]]

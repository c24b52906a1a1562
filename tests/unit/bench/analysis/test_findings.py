"""What contrasts show, one by one and together."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from bench.analysis.statistics import (
    decision_p,
    difference_ps,
    equivalence_ps,
    finding,
    holm,
    holm_levels,
    settled_p,
)


@pytest.mark.parametrize(
    ("mean", "difference_p", "equivalence_p", "level", "expected"),
    [
        (0.2, 0.01, 0.9, 0.05, "higher"),
        (-0.2, 0.01, 0.9, 0.05, "lower"),
        (-0.2, 0.01, None, 0.05, "lower"),
        (0.2, 0.3, 0.05, 0.05, "equal"),
        # A difference that is not 0 and does not matter.
        (0.2, 0.01, 0.02, 0.05, "equal"),
        (0.2, 0.01, 0.02, 0.015, "higher"),
        (0.2, 0.01, 0.02, 0.0, "none"),
        (0.2, 0.3, 0.3, 0.05, "none"),
        (0.2, float("nan"), float("nan"), 0.05, "none"),
    ],
)
def test_findings(
    mean: float, difference_p: float, equivalence_p: float | None, level: float, expected: str
) -> None:
    assert finding(mean, difference_p, equivalence_p, level) == expected
    found = decision_p(difference_p, equivalence_p) <= level
    assert found == (expected != "none")


def test_the_levels_reject_what_holm_rejects() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        p_values = dict(enumerate(random.uniform(size=6) ** random.integers(1, 8)))
        levels = holm_levels(p_values, 0.05)
        corrected = holm(p_values)
        assert [p <= levels[i] for i, p in p_values.items()] == [
            corrected[i] <= 0.05 for i in p_values
        ]


def test_levels_by_hand() -> None:
    assert holm_levels({"a": 0.9, "b": 0.01, "c": 0.02}) == dict.fromkeys("abc", 0.05)
    assert holm_levels({"a": 0.9, "b": 0.02, "c": 0.02}) == dict.fromkeys("abc", 0.05 / 3)
    assert holm_levels({"a": 0.01, "b": 0.04}) == dict.fromkeys("ab", 0.05)
    assert holm_levels({}) == {}


def test_equal_ps_have_equal_levels_in_any_order() -> None:
    p_values = {"a": 0.02, "b": 0.02, "c": 0.01, "d": 0.3}
    levels = [holm_levels({name: p_values[name] for name in o}) for o in permutations(p_values)]
    assert all(of_order == levels[0] for of_order in levels)


def false_families(mean: float, bound: float, count: str) -> float:
    """Return how many of 600 families of 20 contrasts have a false finding, as a share.

    Args:
        mean: The true mean of all contrasts.
        bound: On differences that matter.
        count: Which contrasts are no longer counted: the settled or the decided ones.
    """
    values = np.random.default_rng(3).normal(mean, 1, size=(600, 20, 12))
    means, differences = values.mean(-1), difference_ps(values)
    equivalences = equivalence_ps(values, bound)
    right = {"equal"} if abs(mean) < bound else set()
    right |= {"higher"} if mean > 0 else set()
    false = 0
    for family in zip(means, differences, equivalences, strict=True):
        contrasts = dict(enumerate(zip(*(of.tolist() for of in family), strict=True)))
        p = settled_p if count == "settled" else decision_p
        levels = holm_levels({i: p(d, e) for i, (_, d, e) in contrasts.items()})
        found = {finding(m, d, e, levels[i]) for i, (m, d, e) in contrasts.items()}
        false += bool(found - right - {"none"})
    return false / 600


@pytest.mark.parametrize(
    ("mean", "bound"), [(0.0, 0.8), (0.0, 1.5), (0.9, 0.9), (1.5, 1.5), (2.5, 2.5), (0.7, 1.4)]
)
def test_1_in_20_families_has_a_false_finding_at_most(mean: float, bound: float) -> None:
    noise = 3 * (0.05 * 0.95 / 600) ** 0.5
    assert false_families(mean, bound, "settled") < 0.05 + noise


def test_contrasts_that_are_only_decided_must_be_counted() -> None:
    assert false_families(2.5, 2.5, "decided") > 0.5

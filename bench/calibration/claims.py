"""Findings on claims: how often they are false, for every kind of contrast.

Nothing is trained: the values of a contrast at its seeds are drawn, or those that it is made of.
Effects of the seeds are normal, heavy-tailed, or skewed towards low values, as where a training
goes wrong now and then. A difference is in standard deviations of the contrast over seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy import ndarray

from bench.analysis.statistics import (
    SIGNIFICANCE,
    Finding,
    above_ps,
    difference_ps,
    equivalence_ps,
    finding,
    holm_levels,
    seeds_sequential_ps,
    settled_p,
    t_test_power,
)
from bench.calibration.contrasts import (
    EFFECTS,
    GRIDS,
    REWARDS,
    UNEQUAL_GRIDS,
    UNEQUAL_REWARDS,
    Values,
    interaction,
    paired,
    same_frontier,
    selected,
    trend,
)
from bench.calibration.summary import share

SEEDS, FEW_SEEDS, LOOKS = 12, 6, (12, 18, 24)
COMPARISONS, SLOW_COMPARISONS, FAMILIES_DRAWN = 20_000, 4_000, 500
POWER = 0.8
# On differences that matter: of one contrast, and of many, whose levels are lower.
BOUND, FAMILY_BOUND = 1.0, 1.5
# About as many as the built-in claims have.
FAMILY = 80
COLUMNS = [
    *("kind", "contrasts", "effects", "seeds", "looks"),
    *("comparisons", "false", "truth", "right", "of"),
]
Question = Literal["difference", "equivalence", "not lower"]


class Kind(NamedTuple):
    """A kind of contrast.

    Attributes:
        name: Of its row.
        values: Draws contrasts without a difference.
        question: What is asked of it.
        looks: How many seeds there are at each test.
        comparisons: How many are drawn.
    """

    name: str
    values: Values
    question: Question = "difference"
    looks: tuple[int, ...] = (SEEDS,)
    comparisons: int = COMPARISONS


KINDS = (
    Kind("difference", paired, looks=(FEW_SEEDS,)),
    Kind("difference", paired),
    Kind("difference at equal KL", same_frontier(GRIDS), comparisons=SLOW_COMPARISONS),
    Kind(
        "difference at equal KL, settings unlike",
        same_frontier(UNEQUAL_GRIDS),
        comparisons=SLOW_COMPARISONS,
    ),
    Kind("interaction", interaction),
    Kind("trend", trend),
    Kind("equivalence", paired, "equivalence"),
    Kind("not lower", paired, "not lower"),
    Kind("difference, 3 looks", paired, looks=LOOKS),
    Kind("equivalence, 3 looks", paired, "equivalence", LOOKS),
    Kind("difference, settings selected", selected(REWARDS)),
    Kind("difference, settings selected, unlike", selected(UNEQUAL_REWARDS)),
)


class Family(NamedTuple):
    """Contrasts that are tested together.

    Attributes:
        name: Of its row.
        mean: The true mean of all of them.
        bound: On differences that matter; None if there is none.
        right: The finding that is right, if one is.
    """

    name: str
    mean: float
    bound: float | None
    right: Finding


FAMILIES = (
    Family(f"{FAMILY} contrasts, no difference", 0.0, None, "none"),
    Family(f"{FAMILY} contrasts with a bound, no difference", 0.0, FAMILY_BOUND, "equal"),
    Family(f"{FAMILY} contrasts, all at their bound", -FAMILY_BOUND, FAMILY_BOUND, "lower"),
)


def simulate(comparisons: int | None = None) -> pd.DataFrame:
    """Return how the findings of each kind come out, a row for each distribution of effects.

    Args:
        comparisons: Number of each kind; by default 20,000, or fewer where each takes longer.

    Returns:
        contrasts: How many are tested together.
        seeds, looks: Their numbers at the last test.
        comparisons: Number of contrasts, or of families of contrasts.
        false: Number with a false finding where there is no difference, or, for equivalence and
            "not lower", where the mean is at the lower bound. Of families, with any such finding.
        truth: The true mean at which right findings are counted.
        right: Number of these.
        of: Number of contrasts that could be found right; 0 where there is nothing to find.
    """
    rows = [row for kind in KINDS for row in _simulate(kind, comparisons or kind.comparisons)]
    for family in FAMILIES:
        rows += _simulate_families(family, comparisons or FAMILIES_DRAWN)
    return pd.DataFrame(rows, columns=COLUMNS)


def detectable(seeds: int) -> float:
    """Return the mean, in standard deviations, that the t-test finds with a power of 80%."""
    from scipy.optimize import brentq

    return float(brentq(lambda mean: t_test_power(mean, 1.0, seeds) - POWER, 0.1, 10))


def found(question: Question, values: ndarray, looks: tuple[int, ...]) -> ndarray:
    """Return what is found: 1 or -1 for a difference by its sign, 1 for equivalent or not lower.

    Args:
        question: What is asked.
        values: In standard deviations, [comparisons, seeds].
        looks: How many of the seeds there are at each test.
    """
    tests: dict[Question, Callable[[ndarray], ndarray]] = {
        "difference": difference_ps,
        "equivalence": partial(equivalence_ps, bound=BOUND),
        "not lower": partial(above_ps, bound=-BOUND),
    }
    p = _over_looks(tests[question], values, looks, one_sided=question != "difference")
    sign = np.sign(values.mean(-1)) if question == "difference" else 1
    return np.where(p <= SIGNIFICANCE, sign, 0)


def _over_looks(
    test: Callable[[ndarray], ndarray], values: ndarray, looks: tuple[int, ...], *, one_sided: bool
) -> ndarray:
    p_values = np.stack([test(values[..., :seeds]) for seeds in looks], axis=-1)
    fractions = [seeds / looks[-1] for seeds in looks]
    return seeds_sequential_ps(p_values, fractions, one_sided=one_sided)


def _simulate(kind: Kind, comparisons: int) -> Iterator[list[Any]]:
    seeds = kind.looks[-1]
    for place, (name, effects) in enumerate(EFFECTS.items()):
        random = np.random.default_rng([KINDS.index(kind), place])
        values = kind.values(random, effects, (comparisons, seeds))
        values = values / values.std()
        is_difference = kind.question == "difference"
        null, truth = (0.0, detectable(seeds)) if is_difference else (-BOUND, 0.0)
        false = int((found(kind.question, values + null, kind.looks) != 0).sum())
        right = int((found(kind.question, values + truth, kind.looks) > 0).sum())
        counts = [seeds, len(kind.looks), comparisons, false, truth, right, comparisons]
        yield [kind.name, 1, name, *counts]


def _simulate_families(family: Family, families: int) -> Iterator[list[Any]]:
    for place, (name, effects) in enumerate(EFFECTS.items()):
        random = np.random.default_rng([len(KINDS) + FAMILIES.index(family), place])
        values = family.mean + effects(random, (families, FAMILY, LOOKS[-1]))
        findings = family_findings(values, family.bound)
        is_false = (findings != family.right) & (findings != "none")
        right = (findings == family.right) & (findings != "none")
        of = 0 if family.right == "none" else right.size
        counts = [LOOKS[-1], len(LOOKS), families, int(is_false.any(-1).sum())]
        yield [family.name, FAMILY, name, *counts, family.mean, int(right.sum()), of]


def family_findings(values: ndarray, bound: float | None) -> ndarray:
    """Return the findings after the last look, each family of contrasts tested together.

    Args:
        values: [families, contrasts, seeds].
        bound: On differences that matter; None if there is none.
    """
    differences = _over_looks(difference_ps, values, LOOKS, one_sided=False)
    equivalences = np.full(differences.shape, None)
    if bound is not None:
        test = partial(equivalence_ps, bound=bound)
        equivalences = _over_looks(test, values, LOOKS, one_sided=True)
    rows = []
    numbers = (of.tolist() for of in (values.mean(-1), differences, equivalences))
    for tested in zip(*numbers, strict=True):
        family = dict(enumerate(zip(*tested, strict=True)))
        levels = holm_levels({i: settled_p(d, e) for i, (_, d, e) in family.items()})
        rows.append([finding(m, d, e, levels[i]) for i, (m, d, e) in family.items()])
    return np.array(rows)


def summarize_claims(rows: pd.DataFrame) -> dict[str, Any]:
    """Summarize the simulation.

    Args:
        rows: From `simulate`.

    Returns:
        bound, family_bound: Those of equivalence, of one contrast and of many.
        kinds: For each row its kind, contrasts, effects, seeds and looks; the share of false
            findings, with a 95% Clopper-Pearson interval; that of right ones (None where there is
            nothing to find), and the mean at which they are right.
    """
    kinds = [
        {
            **{name: row[name] for name in (*COLUMNS[:5], "truth")},
            "false": share(row["false"], row["comparisons"]),
            "right": row["right"] / row["of"] if row["of"] else None,
        }
        for row in rows.to_dict("records")
    ]
    return {"bound": BOUND, "family_bound": FAMILY_BOUND, "kinds": kinds}

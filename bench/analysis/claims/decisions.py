"""From a contrast's numbers to what they show, and from its contrasts to a claim's verdict.

Holm's procedure corrects for all contrasts of all claims. Where seeds were added in stages, a p is
that of the whole sequence of looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import pandas as pd

from bench.analysis.statistics import (
    SIGNIFICANCE,
    Finding,
    Interval,
    above_p,
    chance_of_rejection,
    decision_p,
    difference_p,
    equivalence_p,
    finding,
    holm_levels,
    mean_interval,
    seeds_sequential_p,
    settled_p,
)
from bench.config.claim import ClaimContrast, Prediction

Outcome = Literal["holds", "refuted", "not decided"]
ClaimVerdict = Literal["holds here", "holds in part", "does not hold here", "not decided"]
# A claim's name, and that of its contrast.
Key = tuple[str, str]
# No seeds are added for a smaller chance that they decide a contrast.
LEAST_CHANCE = 0.2


class Evidence(NamedTuple):
    """What the seeds say of a contrast.

    Attributes:
        values: One number for each seed.
        mean: Their mean with its 95% t-interval, not corrected.
        difference_p: Of the hypothesis that the mean is 0, over all looks.
        equivalence_p: Of the hypothesis that it is at least the bound away from 0.
        not_lower_p: Of the hypothesis that it is at most -bound.
        not_higher_p: Of the hypothesis that it is at least the bound.
        lower_p: Of the hypothesis that it is at least -bound.
        higher_p: Of the hypothesis that it is at most the bound.
    """

    values: list[float]
    mean: Interval
    difference_p: float
    equivalence_p: float
    not_lower_p: float
    not_higher_p: float
    lower_p: float
    higher_p: float

    def within_and_beyond(self, predicted: Prediction) -> tuple[float, float] | None:
        """Return the p of both answers to a prediction that is about the bound.

        Whatever the mean, one of the answers is true, so that a verdict is false at most as often
        as the level says.

        Returns:
            The levels from which on it holds, and is refuted; None for higher and lower, which
            the finding answers.
        """
        return {
            "equal": (self.equivalence_p, min(1.0, 2 * min(self.lower_p, self.higher_p))),
            "not lower": (self.not_lower_p, self.lower_p),
            "not higher": (self.not_higher_p, self.higher_p),
        }.get(predicted)

    def decided_at(self, predicted: Prediction) -> float:
        """Return the level from which on the contrast is decided, one way or the other."""
        ps = self.within_and_beyond(predicted)
        return min(ps) if ps else decision_p(self.difference_p, self.equivalence_p)

    def is_final(self, predicted: Prediction, level: float) -> bool:
        """Return whether the contrast is decided at a level, and at no higher one otherwise.

        Holm's levels rise while other claims are decided. A difference that is found at a low one
        may prove too small to matter at a higher one, which takes precedence.
        """
        if self.decided_at(predicted) > level:
            return False
        may_turn = level < self.equivalence_p <= SIGNIFICANCE
        return self.within_and_beyond(predicted) is not None or not may_turn


class Decision(NamedTuple):
    """What is said of a contrast.

    Attributes:
        evidence: What it rests on.
        finding: What the seeds show of the number.
        outcome: What that means for the prediction.
        level: At which the contrast was tested, as Holm's procedure sets it.
    """

    evidence: Evidence
    finding: Finding
    outcome: Outcome
    level: float


def evidence(
    values: Sequence[pd.Series], looks: Sequence[int], most: int, bound: float
) -> Evidence:
    """Return what the seeds say of a contrast.

    Args:
        values: Its number by seed, at each look.
        looks: The numbers of seeds at which it was tested so far.
        most: The number of seeds at the last look that there may be.
        bound: The smallest number that matters.
    """
    fractions = [look / most for look in looks]
    seen = [[float(value) for value in at_look] for at_look in values]
    mirrored = [[-value for value in part] for part in seen]

    def one_sided(ps: Iterable[float]) -> float:
        return seeds_sequential_p(list(ps), fractions, one_sided=True)

    return Evidence(
        seen[-1],
        mean_interval(seen[-1]),
        seeds_sequential_p([difference_p(part) for part in seen], fractions),
        one_sided(equivalence_p(part, bound) for part in seen),
        one_sided(above_p(part, -bound) for part in seen),
        one_sided(above_p(part, -bound) for part in mirrored),
        one_sided(above_p(part, bound) for part in mirrored),
        one_sided(above_p(part, bound) for part in seen),
    )


def decide(
    contrasts: Mapping[Key, ClaimContrast], evidences: Mapping[Key, Evidence]
) -> dict[Key, Decision]:
    """Return what is said of each contrast, with Holm's correction for all of them.

    Args:
        contrasts: All that are declared, those without evidence included: they count.
        evidences: What is known of them.
    """
    ps = {
        key: settled_p(found.difference_p, found.equivalence_p)
        if (found := evidences.get(key))
        else 1.0
        for key in contrasts
    }
    levels = holm_levels(ps, SIGNIFICANCE)
    return {key: _decision(contrasts[key], of, levels[key]) for key, of in evidences.items()}


def _decision(contrast: ClaimContrast, of: Evidence, level: float) -> Decision:
    found = finding(of.mean.mean, of.difference_p, of.equivalence_p, level)
    return Decision(of, found, _outcome(contrast.predicted, found, of, level), level)


def _outcome(predicted: Prediction, found: Finding, of: Evidence, level: float) -> Outcome:
    if ps := of.within_and_beyond(predicted):
        holds, refuted = ps
        return "holds" if holds <= level else "refuted" if refuted <= level else "not decided"
    if found == "none":
        return "not decided"
    return "holds" if found == predicted else "refuted"


def claim_verdict(outcomes: Sequence[Outcome]) -> ClaimVerdict:
    """Return what all contrasts of a claim say together."""
    there = set(outcomes)
    if there == {"holds"}:
        return "holds here"
    if {"holds", "refuted"} <= there:
        return "holds in part"
    return "does not hold here" if "refuted" in there else "not decided"


def needs_no_seeds(
    contrasts: Sequence[ClaimContrast],
    evidences: Sequence[Evidence],
    of_all: int,
    fraction: float,
) -> bool:
    """Return whether each contrast of a claim is decided, or will hardly ever be.

    Whatever other claims show, a decision stays. To stop where there is little chance of one makes
    no false finding more likely.

    Args:
        contrasts: Those of one claim.
        evidences: Of each.
        of_all: How many contrasts all claims have.
        fraction: The share of the planned seeds that were tested.
    """
    level = SIGNIFICANCE / of_all
    return all(
        each.is_final(contrast.predicted, level) or is_hopeless(contrast, each, fraction, level)
        for contrast, each in zip(contrasts, evidences, strict=True)
    )


def is_hopeless(contrast: ClaimContrast, found: Evidence, fraction: float, level: float) -> bool:
    """Return whether more seeds would hardly decide a contrast, if they are like those so far.

    Of a contrast without values nothing can be said: its runs may fail no more.

    Args:
        contrast: What is compared.
        found: What is known of it.
        fraction: The share of the planned seeds that were tested.
        level: At which the contrast is tested in the end.
    """
    seeds = len(found.values)
    if seeds < 2:
        return False
    # The last look as if it were the only one.
    alone = evidence([pd.Series(found.values)], [seeds], seeds, contrast.bound)
    chance = chance_of_rejection(alone.decided_at(contrast.predicted), fraction, level)
    return chance < LEAST_CHANCE

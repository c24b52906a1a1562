"""What a contrast of a claim shows, and the level at which one of several contrasts is tested.

A contrast is one number for each seed. With a bound d > 0 on differences that matter, stated
beforehand, it has two hypotheses: that its mean m is 0, and that m is not between -d and d. Where
the second is rejected the finding is "equal", else, where the first is, "higher" or "lower".

**One contrast.** Both hypotheses are tested at the whole level a. With m = 0 "higher" and "lower"
are false, and the t-test finds one of them with probability a at most. With m >= d "equal" and
"lower" are false, and both only occur where the one-sided test of m >= d rejects at a (so does the
answer "not lower than -d" with m <= -d). Elsewhere the wrong sign alone is false.

**Several contrasts.** Holm's method divides a by the number of contrasts that are left, and one
that was found is no longer counted. That is too few here: a contrast with m = d may be found
"higher", which is true, and be found "equal" as the level rises, which is false. By simulation of
40 contrasts at such a bound, more than 8 in 10 families had a false finding. So a contrast is
counted until both its hypotheses are rejected (see `settled_p`). At most one of them is true, so
there are never more true hypotheses than contrasts counted, and the probability that one of all
contrasts has a true hypothesis rejected is at most a (Holm, 1979; Shaffer, 1986). Wrong signs where
neither is true are not bounded by this, as with Holm's method elsewhere; they are rare.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from bench.analysis.statistics.verdicts import SIGNIFICANCE, Key

Finding = Literal["equal", "higher", "lower", "none"]


def finding(
    mean: float, difference_p: float, equivalence_p: float | None, level: float = SIGNIFICANCE
) -> Finding:
    """Return what a contrast shows.

    A difference that is not 0 and too small to matter is "equal".

    Args:
        mean: Over seeds.
        difference_p: Two-sided, of the hypothesis that the mean is 0; over all looks if it was
            tested several times.
        equivalence_p: Of the hypothesis that the mean is not within the bound, likewise; None
            without a bound.
        level: At which this contrast is tested, see `holm_levels`.
    """
    if equivalence_p is not None and equivalence_p <= level:
        return "equal"
    if difference_p <= level and mean != 0:
        return "higher" if mean > 0 else "lower"
    return "none"


def decision_p(difference_p: float, equivalence_p: float | None) -> float:
    """Return the p of a contrast's finding: it has one at each level from this p on."""
    return difference_p if equivalence_p is None else min(difference_p, equivalence_p)


def settled_p(difference_p: float, equivalence_p: float | None) -> float:
    """Return the p for `holm_levels`: from this level on, none of a contrast's hypotheses is left.

    For a contrast that is tested for one hypothesis only, that is the p of this hypothesis.
    """
    return difference_p if equivalence_p is None else max(difference_p, equivalence_p)


def holm_levels(
    p_values: Mapping[Key, float], significance: float = SIGNIFICANCE
) -> dict[Key, float]:
    """Return the level at which each of several contrasts is tested.

    The significance is divided by the number of contrasts, less those with a p at or below the
    level, until none is left that is (Holm, 1979). The last level holds for all: of the p values
    given, it rejects those that Holm's method rejects.

    Args:
        p_values: The `settled_p` of each contrast, over all looks if they were tested several
            times. The order does not matter.
        significance: Over all contrasts.
    """
    contrasts = settled = len(p_values)
    for rank, p in enumerate(sorted(p_values.values())):
        if not p <= significance / (contrasts - rank):
            settled = rank
            break
    return dict.fromkeys(p_values, significance / max(contrasts - settled, 1))

"""The part of a calibration's report on contrasts of claims."""

from __future__ import annotations

from typing import Any

from bench.calibration.claims import FAMILY, LOOKS, POWER
from bench.report.content.display import MISSING, count, listed, number, percent
from bench.report.content.section import Column, Table


def claims_text(claims: dict[str, Any]) -> str:
    """Say how the contrasts of claims were simulated.

    Args:
        claims: From `claims.summarize_claims`.
    """
    looks = listed([str(seeds) for seeds in LOOKS])
    bound, family_bound = f"{claims['bound']:g}", f"{claims['family_bound']:g}"
    return (
        "A claim is tested by contrasts, each one number for each seed. Each row is simulated "
        "contrasts without a difference, without any training. Effects of seeds are normal, "
        "heavy-tailed (Student's t distribution with 5 degrees of freedom) or skewed towards low "
        "values (skewness -1.4), as where a training of one method goes wrong now and then. Means "
        "are in standard deviations of the contrast over seeds. Equivalence, within "
        f"{bound} of 0, and not lower than -{bound} are false findings where the mean is at the "
        f"lower bound. Contrasts with 3 looks are tested at {looks} seeds, by O'Brien-Fleming "
        f"levels. The {FAMILY} contrasts of a family are tested together by Holm's method, each "
        f"with {len(LOOKS)} looks; their bound, if they have one, is {family_bound}, and a family "
        "is counted as false if any of its findings is. At equal KL, both methods have the same "
        "frontier and 5 settings each; where these are unlike, those of one method lie far apart. "
        "Where settings are selected, each method has 4 and is compared at the one with the "
        "highest mean over the same seeds, as where validation and test prompts are the same; "
        "where they are unlike, those of one method are all equal and one of the other's is far "
        "the best. "
        "The last columns are the true mean at which a finding is right, and how often it is "
        f"found: a difference where the t-test at that many seeds has a power of {percent(POWER)}."
    )


def claims_table(claims: dict[str, Any]) -> Table:
    """Return a row for each kind of contrast and distribution of effects.

    Args:
        claims: From `claims.summarize_claims`.
    """
    columns = (
        Column("kind", "contrast", "text"),
        Column("effects", "effects", "text"),
        Column("seeds", "seeds"),
        Column("comparisons", "comparisons"),
        Column("false", "false findings"),
        Column("truth", "true mean"),
        Column("right", "right findings there"),
    )
    rows = [
        {
            "kind": kind["kind"],
            "effects": kind["effects"],
            "seeds": str(kind["seeds"]),
            "comparisons": count(kind["false"]["of"]),
            "false": interval_text(kind["false"]),
            "truth": number(kind["truth"]),
            "right": MISSING if kind["right"] is None else percent(kind["right"], 1),
        }
        for kind in claims["kinds"]
    ]
    return Table.of(columns, rows)


def interval_text(found: dict[str, float]) -> str:
    """Return a share with its interval."""
    low, high = percent(found["low"], 1), percent(found["high"], 1)
    return f"{percent(found['share'], 1)} [{low}, {high}]"

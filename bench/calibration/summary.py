"""The summary of a calibration, which reports quote."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.calibration.design import INSTANCES_PER_COMPARISON, ITSELF


def summarize(pairs: pd.DataFrame, instances: int) -> dict[str, Any]:
    """Summarize a calibration.

    Args:
        pairs: From `verdicts.pairs`.
        instances: Number of instances.

    Returns:
        instances, instances_per_comparison: Their numbers.
        false_verdicts: The share of comparisons of a method with itself that name a winner, with
            its 95% Clopper-Pearson interval.
        kinds: For each kind of pair with known truth, the numbers of right, missing ("none") and
            wrong verdicts.
        unknown: Number of pairs whose order even all instances cannot tell, and of their
            comparisons.
        coverage: In how many comparisons the 95% interval contains the true difference.
    """
    kinds = {kind: _counts(group) for kind, group in pairs.groupby("kind", sort=False)}
    itself = kinds[ITSELF]
    unknown = pairs[pairs["truth"] == "unknown"]
    known = pairs[pairs["truth"] != "unknown"]
    return {
        "instances": instances,
        "instances_per_comparison": INSTANCES_PER_COMPARISON,
        "false_verdicts": share(itself["wrong"], itself["comparisons"]),
        "kinds": kinds,
        "unknown": {"pairs": len(unknown), "comparisons": int(unknown["comparisons"].sum())},
        # Without an interval: comparisons on the same instances are not independent.
        "coverage": {"count": int(known["covered"].sum()), "of": int(known["comparisons"].sum())},
    }


def _counts(pairs: pd.DataFrame) -> dict[str, int]:
    """Count the verdicts on pairs with known truth. For a method with itself, none is right."""
    counts = dict.fromkeys(("comparisons", "right", "none", "wrong"), 0)
    for row in pairs.to_dict("records"):
        if row["truth"] == "unknown":
            continue
        other = {"better": "worse", "worse": "better"}
        right = row[row["truth"]] if row["truth"] in other else 0
        counts["comparisons"] += int(row["comparisons"])
        counts["right"] += int(right)
        counts["none"] += int(row["none"])
        counts["wrong"] += int(row["better"] + row["worse"] - right)
    return counts


def share(count: int, of: int) -> dict[str, float]:
    """Return a share with its 95% Clopper-Pearson interval."""
    from scipy.stats import binomtest

    interval = binomtest(count, of).proportion_ci(0.95, method="exact")
    low, high = float(interval.low), float(interval.high)
    return {"count": count, "of": of, "share": count / of, "low": low, "high": high}

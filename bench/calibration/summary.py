"""What the reports quote of a calibration, in one small mapping."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.calibration.design import ITSELF, INSTANCES_PER_GROUP


def summarize(pairs: pd.DataFrame, pipelines: int) -> dict[str, Any]:
    """Return counts of right, missing and wrong verdicts, and how wide the intervals hold.

    pairs: from `verdicts.pairs`. false_verdicts: of a method with itself, with the 95% interval of
    Clopper and Pearson (1934). kinds: for each kind of pair of known truth; `none` is the right
    answer for a method with itself. unknown: pairs whose order all pipelines together cannot tell.
    """
    kinds = {kind: _counts(own) for kind, own in pairs.groupby("kind", sort=False)}
    itself = kinds[ITSELF]
    unknown = pairs[pairs["truth"] == "unknown"]
    given = pairs[pairs["truth"] != "unknown"]
    return {
        "pipelines": pipelines,
        "worlds_per_comparison": INSTANCES_PER_GROUP,
        "false_verdicts": share(itself["wrong"], itself["comparisons"]),
        "kinds": kinds,
        "unknown": {"pairs": len(unknown), "comparisons": int(unknown["comparisons"].sum())},
        # No interval of these: pairs on the same pipelines hold or miss together.
        "response_source": {"count": int(given["covered"].sum()), "of": int(given["comparisons"].sum())},
    }


def _counts(pairs: pd.DataFrame) -> dict[str, int]:
    """Return how the comparisons of pairs with a known truth came out."""
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

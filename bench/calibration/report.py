"""The report of a calibration: the summary in words, every pair, and the procedure."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.analysis.statistics import Interval
from bench.calibration.design import ITSELF
from bench.calibration.figure import NAME
from bench.report.content.display import number, percent, signed
from bench.report.content.section import Column, Table
from bench.report.render import markdown_table
from bench.report.sections.calibration import TITLE, calibration_sentences, verdict_table

COLUMNS = (
    Column("kind", "kind", "text"),
    Column("pair", "first vs second", "text"),
    Column("difference", "difference"),
    Column("effect", "effect"),
    Column("truth", "first is", "text"),
    Column("comparisons", "comparisons"),
    Column("better", "verdict better"),
    Column("worse", "verdict worse"),
    Column("none", "no verdict"),
)
PROCEDURE = (
    "Every instance of the task has its own gold reward, text, base model, SFT policy, labels and "
    "reward model. Gold rewards are exact expectations over all responses, so the better method on "
    "an instance is known without sampling error. The better method in truth is given by the sign "
    "of the mean over all instances, if its 99% t-interval excludes 0. Each comparison sees one "
    "group of instances that no other group shares. Training, evaluation and verdicts are those of "
    "`prefrontier bench`. A method is compared with itself through replicas: the same settings "
    "with other random numbers, and no policy is used twice. Comparisons of different pairs on "
    "the same group share instances and policies, so only the share of false verdicts has an "
    "interval. The instances are small; differences on larger tasks may be less normal."
)


def report(pairs: pd.DataFrame, summary: dict[str, Any]) -> str:
    """Return the text of report.md.

    Args:
        pairs: From `verdicts.pairs`.
        summary: From `summary.summarize`.
    """
    coverage, unknown = summary["coverage"], summary["unknown"]
    parts = [
        f"# {TITLE}",
        *calibration_sentences(summary),
        markdown_table(verdict_table(summary)),
        f"![Shares of right and of false verdicts]({NAME}.svg)",
        f"95% intervals contained the true difference in "
        f"{percent(coverage['count'] / coverage['of'])} of {coverage['of']} comparisons.",
        "## Every pair",
        "The difference is the first method's gold reward minus the second's, averaged over all "
        "instances, with its 95% t-interval. The effect is that difference in standard deviations "
        "over instances.",
        markdown_table(pair_table(pairs)),
    ]
    if unknown["pairs"]:
        parts.append(
            f"{unknown['comparisons']} comparisons are not counted as right or wrong: their pairs "
            "differ too little for all instances together to tell the order."
        )
    return "\n\n".join([*parts, "## Procedure", PROCEDURE]) + "\n"


def pair_table(pairs: pd.DataFrame) -> Table:
    """Return the table of all pairs, with the largest effect of a kind first.

    Args:
        pairs: From `verdicts.pairs`.
    """
    order = pairs.assign(size=-pairs["effect"].abs(), last=pairs["kind"] != ITSELF)
    order = order.sort_values(["last", "kind", "size"], kind="stable")
    rows = [
        {
            "kind": row["kind"],
            "pair": row["pair"],
            "difference": signed(Interval(row["difference"], row["low"], row["high"], 0)),
            "effect": number(row["effect"]),
            "truth": row["truth"],
            "comparisons": str(row["comparisons"]),
            "better": str(row["better"]),
            "worse": str(row["worse"]),
            "none": str(row["none"]),
        }
        for row in order.to_dict("records")
    ]
    return Table(COLUMNS, tuple(rows))

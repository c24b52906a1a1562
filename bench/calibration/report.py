"""The calibration's report.md: the summary in words, every pair, and what was done."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.calibration.design import ITSELF
from bench.calibration.figure import NAME
from bench.report.build import markdown_table
from bench.report.display import number, percent, signed
from bench.report.trust import trust
from bench.analysis.statistics import Interval

HOW = (
    "Every pipeline is a task of its own, with its own gold reward, text, base model, SFT policy, "
    "feedback and reward model. Gold reward is an expectation over all responses, so which of two "
    "methods is better on a pipeline is known without sampling error; which is better in truth is "
    "the sign of the mean over all pipelines, where its 99% t-interval leaves 0 out. Each comparison "
    "sees one group of pipelines and no other, and goes through the code that trains, measures and "
    "judges in `prefrontier bench`. A method is compared with itself under another name: the same "
    "settings, other random numbers, and no policy serves twice. Comparisons of different pairs "
    "on the same group share pipelines and policies, so only the share of false verdicts has an "
    "interval. The pipelines are small; a larger task may have differences that are less normal."
)


def report(pairs: pd.DataFrame, summary: dict[str, Any]) -> str:
    """Return report.md. pairs: from `verdicts.pairs`; summary: from `summary.summarize`."""
    told = trust(summary)
    response_source, unknown = summary["response_source"], summary["unknown"]
    parts = [
        "# How far to trust the verdicts",
        *told.sentences,
        markdown_table(told.table),
        f"![Share of right and of false verdicts]({NAME}.svg)",
        f"95% intervals held the true difference in {percent(response_source['count'] / response_source['of'])} "
        f"of {response_source['of']} comparisons.",
        "## Every pair",
        "The difference is the first side's gold reward less the second's, over all pipelines, with "
        "its 95% t-interval; the effect is that difference in standard deviations over pipelines.",
        markdown_table(pair_table(pairs)),
    ]
    if unknown["pairs"]:
        parts.append(
            f"Not counted as right or wrong: {unknown['comparisons']} comparisons of the pairs of "
            "unknown order, whose difference is too small for all pipelines together to tell."
        )
    return "\n\n".join([*parts, "## How it was done", HOW]) + "\n"


def pair_table(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs as display strings, largest effect first within a kind."""
    order = pairs.assign(size=-pairs["effect"].abs(), first=pairs["kind"] != ITSELF)
    order = order.sort_values(["first", "kind", "size"], kind="stable")
    lines = [
        {
            "kind": row["kind"],
            "first vs second": row["pair"],
            "difference": signed(Interval(row["difference"], row["low"], row["high"], 0)),
            "effect": number(row["effect"]),
            "first is": row["truth"],
            "comparisons": str(row["comparisons"]),
            "said better": str(row["better"]),
            "said worse": str(row["worse"]),
            "no verdict": str(row["none"]),
        }
        for row in order.to_dict("records")
    ]
    return pd.DataFrame(lines)

"""The report of a calibration: the summary in words, every pair, and the procedure."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.analysis.statistics import Interval
from bench.calibration.claims_report import claims_table, claims_text, interval_text
from bench.calibration.design import ITSELF
from bench.calibration.figure import NAME
from bench.report.content.display import count, listed, number, parameter, percent, signed
from bench.report.content.section import Column, Table
from bench.report.markdown import markdown_table
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
    parts += [
        "## Seeds that share test prompts",
        shared_prompts_text(summary["shared_prompts"]),
        markdown_table(shared_prompts_table(summary["shared_prompts"])),
    ]
    parts += [
        "## Contrasts of claims",
        claims_text(summary["claims"]),
        markdown_table(claims_table(summary["claims"])),
    ]
    return "\n\n".join([*parts, "## Procedure", PROCEDURE]) + "\n"


def shared_prompts_text(shared: dict[str, Any]) -> str:
    """Say how the comparisons on shared prompts were simulated.

    Args:
        shared: From `shared_prompts.summarize_shared_prompts`.
    """
    comparisons = shared["cells"][0]["false_verdicts"]["of"]
    return (
        "On recorded data all seeds answer the same test prompts, and a verdict must hold for "
        f"other prompts. Each row is {count(comparisons)} simulated comparisons at "
        f"{shared['seeds']} seeds, without any training: the difference of two methods on a prompt "
        "is the sum of a true difference and of random effects of the seed, of the prompt "
        f"(standard deviation {shared['prompt_deviation']:g}), and of the two together "
        f"({shared['rest_deviation']:g}). Heavy-tailed effects have Student's t distribution with "
        "3 degrees of freedom, skewed ones a lognormal distribution. Verdicts by seeds alone are "
        "those that the analysis for embedded tasks would give here. The last columns are right "
        f"verdicts at true differences of {listed(list(shared['cells'][0]['right']))}."
    )


def shared_prompts_table(shared: dict[str, Any]) -> Table:
    """Return a row for each cell.

    Args:
        shared: From `shared_prompts.summarize_shared_prompts`.
    """
    cells = shared["cells"]
    columns = [
        Column("prompts", "prompts"),
        Column("deviation", "seed deviation"),
        Column("effects", "effects", "text"),
        Column("false", "false verdicts"),
        Column("alone", "false by seeds alone"),
        Column("coverage", "intervals with the truth"),
        *(Column(difference, f"right at {difference}") for difference in cells[0]["right"]),
    ]
    rows = [
        {
            "prompts": str(cell["prompts"]),
            "deviation": parameter(cell["seed_deviation"]),
            "effects": cell["effects"],
            "false": interval_text(cell["false_verdicts"]),
            "alone": percent(cell["seeds_alone"], 1),
            "coverage": percent(cell["coverage"], 1),
            **{difference: percent(right, 1) for difference, right in cell["right"].items()},
        }
        for cell in cells
    ]
    return Table.of(columns, rows)


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
            "comparisons": count(row["comparisons"]),
            "better": count(row["better"]),
            "worse": count(row["worse"]),
            "none": count(row["none"]),
        }
        for row in order.to_dict("records")
    ]
    return Table(COLUMNS, tuple(rows))

"""How far to trust the verdicts: how often the suite was right where the truth is known.

The calibration's own report quotes the same sentences and the same table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.analysis.statistics import SIGNIFICANCE
from bench.report.content.display import MISSING, count, listed, percent
from bench.report.content.section import Column, Part, Section, Table
from bench.results.loading import Results

TITLE = "How far to trust the verdicts"
UNKNOWN = (
    "How often such verdicts are right was not known when these results were written: run `make "
    "calibrate`, then the same command again."
)
ITSELF = "itself"
COMPARED = {
    ITSELF: "a method with itself",
    "crippled": "a method with a copy that was trained less",
    "known order": "two methods of known order",
}
COLUMNS = (
    Column("compared", "compared", "text"),
    Column("comparisons", "comparisons"),
    Column("right", "right verdict"),
    Column("none", "no verdict"),
    Column("wrong", "wrong verdict"),
)


def calibration_section(results: Results) -> Section:
    """Return the section, from the calibration that the manifest quotes."""
    summary = results.manifest.get("calibration")
    if not summary:
        part = Part(paragraphs=(UNKNOWN,))
    else:
        part = Part(paragraphs=calibration_sentences(summary), tables=(verdict_table(summary),))
    return Section("calibration", TITLE, parts=(part,))


def calibration_sentences(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """Say how often verdicts were false, right and missing.

    Args:
        summary: As `bench.calibration.summary.summarize` returns it.
    """
    false = summary["false_verdicts"]
    low, high = percent(false["low"], 1), percent(false["high"], 1)
    each = summary["instances_per_comparison"]
    sentences = [
        f"On {count(summary['instances'])} small instances of a task whose responses are all "
        f"listed, the suite compared methods with themselves {count(false['of'])} times, "
        f"on {each} instances each. In {count(false['count'])} of these comparisons "
        f"({percent(false['share'], 1)}, 95% interval {low} to {high}) it called one "
        f"better than the other, which is false; the test allows {percent(SIGNIFICANCE)}."
    ]
    known = [counts for name, counts in summary["kinds"].items() if name != ITSELF]
    right, none, wrong, total = (
        sum(counts[key] for counts in known) for key in ("right", "none", "wrong", "comparisons")
    )
    if total:
        sentences.append(
            f"Of {count(total)} comparisons whose true order is known, it named the better side in "
            f"{percent(right / total, 1)}, gave no verdict in {percent(none / total, 1)} and was "
            f"wrong in {percent(wrong / total, 1)}."
        )
    if shared := summary.get("shared_prompts"):
        sentences.append(shared_prompts_sentence(shared))
    if claims := summary.get("claims"):
        sentences.append(claims_sentence(claims))
    if false["low"] > SIGNIFICANCE:
        sentences.append("That is more false verdicts than the test allows: trust none of them.")
    return tuple(sentences)


def shared_prompts_sentence(shared: Mapping[str, Any]) -> str:
    """Say how often equal methods got a verdict where all seeds share the test prompts."""
    found = _by_effects((cell["effects"], cell["false_verdicts"]) for cell in shared["cells"])
    prompts = listed([str(n) for n in dict.fromkeys(cell["prompts"] for cell in shared["cells"])])
    return (
        f"Where all seeds share the test prompts, as on recorded data, simulated comparisons of "
        f"equal methods at {shared['seeds']} seeds and {prompts} prompts got a verdict in "
        f"{found} effects of seeds and prompts."
    )


def claims_sentence(claims: Mapping[str, Any]) -> str:
    """Say how often simulated contrasts of claims had a false finding.

    Args:
        claims: As `bench.calibration.claims.summarize_claims` returns it.
    """
    single, families = (
        [kind for kind in claims["kinds"] if (kind["contrasts"] > 1) is several]
        for several in (False, True)
    )
    alone, together = (
        _by_effects((kind["effects"], kind["false"]) for kind in of) for of in (single, families)
    )
    contrasts = max(kind["contrasts"] for kind in families)
    kinds = len({(kind["kind"], kind["seeds"]) for kind in single})
    return (
        f"Simulated contrasts of claims, of {kinds} kinds, had a false finding in "
        f"{alone} effects of seeds. Of families of {contrasts} contrasts that are "
        f"tested together, {together} effects had one or more."
    )


def _by_effects(shares: Iterable[tuple[str, Mapping[str, float]]]) -> str:
    """Return the least and the largest share for each distribution of effects."""
    grouped: dict[str, list[float]] = {}
    for effects, share in shares:
        grouped.setdefault(effects, []).append(share["share"])
    return listed(
        [
            f"{' to '.join(dict.fromkeys(percent(x, 1) for x in (min(of), max(of))))} with {name}"
            for name, of in grouped.items()
        ]
    )


def verdict_table(summary: Mapping[str, Any]) -> Table:
    """Return how the comparisons of each kind came out."""
    rows = [
        {
            "compared": COMPARED.get(name, name),
            "comparisons": count(counts["comparisons"]),
            "right": MISSING if name == ITSELF else _share(counts, "right"),
            "none": _share(counts, "none"),
            "wrong": _share(counts, "wrong"),
        }
        for name, counts in summary["kinds"].items()
    ]
    return Table.of(COLUMNS, rows)


def _share(counts: Mapping[str, int], key: str) -> str:
    """Return a share with one decimal, in which false verdicts are counted."""
    total = counts["comparisons"]
    return percent(counts[key] / total, 1) if total else MISSING

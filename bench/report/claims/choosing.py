"""What somebody who must choose a method can take from tested claims: which had more reward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.analysis.claims.quantities import AT_EQUAL_KL
from bench.analysis.claims.results import Judged
from bench.analysis.statistics import Interval
from bench.report.claims.words import mirrored, two_methods
from bench.report.content.display import bracketed, listed, parameter

REWARDS = ("reward", AT_EQUAL_KL)


class Comparison(NamedTuple):
    """Two methods whose rewards the seeds tell apart, or show to be equal.

    Attributes:
        better: The method with more reward; the first one where they are equal.
        other: The other method.
        text: How far apart they are, and where.
        equal: Whether the difference is too small to matter.
    """

    better: str
    other: str
    text: str
    equal: bool


def choices(claims: Sequence[Judged]) -> list[str]:
    """Return a sentence for each method that had more reward than others, and for equal ones.

    Methods that were given the gold reward cannot be chosen, and are left out.

    Args:
        claims: Tested claims with their verdicts.
    """
    found = [each for judged in claims for each in _comparisons(judged)]
    better = Counter(each.better for each in found if not each.equal)
    sentences = [
        f"{method} has more reward than "
        + listed(_named([(c.other, c.text) for c in found if c.better == method and not c.equal]))
        + "."
        for method, _ in better.most_common()
    ]
    equal = _named([(f"{c.better} and {c.other}", c.text) for c in found if c.equal])
    return [*sentences, f"No difference that matters: {listed(equal)}."] if equal else sentences


def _named(comparisons: Sequence[tuple[str, str]]) -> list[str]:
    """Return each name once, with all that is said of it; two claims may say the same."""
    texts: dict[str, dict[str, None]] = {}
    for name, text in comparisons:
        texts.setdefault(name, {})[text] = None
    return [f"{name} ({'; '.join(said)})" for name, said in texts.items()]


def _comparisons(judged: Judged) -> Iterator[Comparison]:
    claim = judged.tested.claim
    names_task = len(claim.experiment["tasks"]) > 1
    for contrast, decision in zip(claim.contrasts, judged.decisions, strict=True):
        methods = two_methods(contrast)
        if not methods or judged.tested.privileged & set(methods):
            continue
        if contrast.quantity not in REWARDS or decision.finding == "none":
            continue
        where = " at equal KL" if contrast.quantity == AT_EQUAL_KL else ""
        where += f", {contrast.task}" if names_task else ""
        mean = decision.evidence.mean
        if decision.finding == "equal":
            yield Comparison(*methods, f"within {parameter(contrast.bound)}{where}", True)
        else:
            higher = decision.finding == "higher"
            size: Interval = mean if higher else mirrored(mean)
            better, other = methods if higher else reversed(methods)
            yield Comparison(better, other, f"by {bracketed(size)}{where}", False)

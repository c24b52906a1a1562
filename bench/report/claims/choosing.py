"""What somebody who must choose a method can take from tested claims: which had more reward."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.analysis.claims.quantities import AT_EQUAL_KL
from bench.analysis.claims.results import ClaimResult
from bench.report.claims.words import mirrored, two_methods
from bench.report.content.display import bracketed, parameter, signed

REWARDS = ("reward", AT_EQUAL_KL)


class Comparison(NamedTuple):
    """Two methods whose rewards were compared.

    Attributes:
        methods: Both methods.
        text: Which has more reward, by how much, and where; empty if the seeds do not tell.
    """

    methods: tuple[str, str]
    text: str


def choices(claims: Sequence[ClaimResult]) -> list[str]:
    """Return what was found of each two methods in reward, and which were not told apart.

    Methods that were given the gold reward cannot be chosen, and are left out.

    Args:
        claims: Tested claims with their verdicts.

    Returns:
        A sentence for each two methods that were told apart, or shown to be equal, and one for all
        others.
    """
    # By pair; two claims may say the same.
    texts: dict[str, dict[str, None]] = {}
    for result in claims:
        for methods, text in _comparisons(result):
            of_pair = texts.setdefault(" and ".join(sorted(methods)), {})
            if text:
                of_pair[text] = None
    told = [f"{pair}: {'; '.join(found)}." for pair, found in texts.items() if found]
    open_pairs = [pair for pair, found in texts.items() if not found]
    return told + ([f"Not told apart in reward: {'; '.join(open_pairs)}."] if open_pairs else [])


def _comparisons(result: ClaimResult) -> Iterator[Comparison]:
    claim = result.tested.claim
    # What the tasks of a claim are called says little without its file.
    names_condition = len(claim.experiment["tasks"]) > 1
    for contrast, decision in zip(claim.contrasts, result.decisions, strict=True):
        methods = two_methods(contrast)
        if not methods or result.tested.privileged & set(methods):
            continue
        if contrast.quantity not in REWARDS:
            continue
        where = " at equal KL" if contrast.quantity == AT_EQUAL_KL else ""
        mean = decision.evidence.mean
        if decision.finding == "none":
            text = ""
        elif decision.finding == "equal":
            about = f"{contrast.name}: " if names_condition else ""
            text = f"{about}no difference above {parameter(contrast.bound)} in reward{where}"
        elif names_condition:
            text = f"{contrast.name}: {signed(mean)} in reward{where}"
        else:
            higher = decision.finding == "higher"
            size = mean if higher else mirrored(mean)
            text = f"{methods[0 if higher else 1]} has {bracketed(size)} more reward{where}"
        yield Comparison(methods, text)

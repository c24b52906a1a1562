"""From the results of claims' experiments to their numbers, and to all verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from bench.analysis.claims.decisions import (
    ClaimVerdict,
    Decision,
    Evidence,
    Key,
    claim_verdict,
    decide,
    evidence,
)
from bench.analysis.claims.shares import Share, variance_shares
from bench.analysis.claims.values import by_condition, by_seed
from bench.config.claim import (
    Claim,
    ClaimContrast,
    NamedClaim,
    claim_names,
    load_claim,
)
from bench.results.loading import Results


class Tested(NamedTuple):
    """A claim whose experiment was run.

    Attributes:
        name: The claim's name.
        claim: What is claimed.
        looks: The numbers of seeds at which it was tested so far.
        conditions: For each contrast its numbers by task and seed; see `by_condition`.
        values: For each contrast its number by seed at each look, with the settings that were
            selected on the seeds of that look.
        shares: Of the variance in reward that the claim's factors explain.
        seconds: What its jobs took, those included that it shares with other claims.
        privileged: Methods that were given the gold reward.
    """

    name: str
    claim: Claim
    looks: list[int]
    conditions: list[pd.DataFrame]
    values: list[list[pd.Series]]
    shares: list[Share]
    seconds: float
    privileged: frozenset[str]

    def evidences(self) -> list[Evidence]:
        """Return what the seeds say of each contrast."""
        return [
            evidence(at_looks, self.looks, self.most, contrast.bound)
            for contrast, at_looks in zip(self.claim.contrasts, self.values, strict=True)
        ]

    @property
    def most(self) -> int:
        """The number of seeds at the last look that there may be."""
        return max(self.claim.seeds[-1], self.looks[-1])


class ClaimResult(NamedTuple):
    """A tested claim with its verdict.

    Attributes:
        tested: The claim, and its numbers.
        decisions: One for each contrast.
        verdict: What they say together.
    """

    tested: Tested
    decisions: list[Decision]
    verdict: ClaimVerdict


def measured(claim: NamedClaim, looks: Sequence[int], results: Results) -> Tested:
    """Return a claim whose experiment was run, with its numbers."""
    contrasts = claim.claim.contrasts
    seen = [results.first_seeds(look) for look in looks]
    at_looks = [[by_condition(part, contrast) for part in seen] for contrast in contrasts]
    shares = variance_shares(results, claim.claim.factors)
    return Tested(
        claim.name,
        claim.claim,
        list(looks),
        [frames[-1] for frames in at_looks],
        [
            [by_seed(contrast, frame) for frame in frames]
            for contrast, frames in zip(contrasts, at_looks, strict=True)
        ],
        shares,
        _seconds(results),
        results.privileged,
    )


def _seconds(results: Results) -> float:
    stages = results.stages["seconds"].sum()
    # A row for validation and one for test.
    runs = results.runs.drop_duplicates(["task", "method", "params", "seed"])
    return float(stages + runs["train_seconds"].sum())


def claim_results(
    claims: Sequence[Tested], declared: Mapping[Key, ClaimContrast]
) -> list[ClaimResult]:
    """Return the verdicts on claims, with Holm's correction for all contrasts.

    Args:
        claims: Those that were tested.
        declared: All contrasts that count, see `declared_contrasts`.
    """
    evidences = {
        (each.name, contrast.name): found
        for each in claims
        for contrast, found in zip(each.claim.contrasts, each.evidences(), strict=True)
    }
    decisions = decide(declared, evidences)
    results = []
    for each in claims:
        of_claim = [decisions[each.name, contrast.name] for contrast in each.claim.contrasts]
        verdict = claim_verdict([decision.outcome for decision in of_claim])
        results.append(ClaimResult(each, of_claim, verdict))
    return results


def declared_contrasts(claims: Iterable[Tested]) -> dict[Key, ClaimContrast]:
    """Return the contrasts of these claims and of all built-in ones, tested or not.

    By the names of claim and contrast. Holm's procedure corrects for all of them.
    """
    every = [(named.name, named.claim) for named in map(load_claim, claim_names())]
    every += [(each.name, each.claim) for each in claims]
    return {(name, of.name): of for name, claim in every for of in claim.contrasts}

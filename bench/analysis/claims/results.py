"""What a folder of tested claims holds: each claim with its numbers, and all verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bench.analysis.claims.decisions import (
    ClaimVerdict,
    Decision,
    Evidence,
    Key,
    claim_verdict,
    decide,
    evidence,
    is_decided,
)
from bench.analysis.claims.shares import Share, variance_shares
from bench.analysis.claims.values import by_condition, by_seed
from bench.config.claim import (
    Claim,
    ClaimContrast,
    NamedClaim,
    claim_names,
    load_claim,
    parse_claim,
)
from bench.config.yaml_text import read_yaml, yaml_text
from bench.errors import UserError
from bench.results.loading import Results, load_results

# In the results folder of a claim's experiment.
FILE = "claim.yaml"


class Tested(NamedTuple):
    """A claim whose experiment was run.

    Attributes:
        name: The claim's name.
        claim: What is claimed.
        looks: The numbers of seeds at which it was tested so far.
        conditions: For each contrast its numbers by task and seed; see `by_condition`.
        shares: Of the variance in reward that the claim's factors explain.
        seconds: What its jobs took, those included that it shares with other claims.
        privileged: Methods that were given the gold reward.
    """

    name: str
    claim: Claim
    looks: list[int]
    conditions: list[pd.DataFrame]
    shares: list[Share]
    seconds: float
    privileged: frozenset[str]

    def evidences(self) -> list[Evidence]:
        """Return what the seeds say of each contrast."""
        most = max(self.claim.seeds[-1], self.looks[-1])
        return [
            evidence(by_seed(contrast, frame), self.looks, most, contrast.bound)
            for contrast, frame in zip(self.claim.contrasts, self.conditions, strict=True)
        ]


class Judged(NamedTuple):
    """A tested claim with its verdict.

    Attributes:
        tested: The claim, and its numbers.
        decisions: One for each contrast.
        verdict: What they say together.
    """

    tested: Tested
    decisions: list[Decision]
    verdict: ClaimVerdict


def tested(claim: NamedClaim, looks: Sequence[int], results: Results) -> Tested:
    """Return a claim with the numbers of its experiment."""
    contrasts = claim.claim.contrasts
    conditions = [by_condition(results, contrast) for contrast in contrasts]
    shares = variance_shares(results, claim.claim.factors)
    return Tested(
        claim.name,
        claim.claim,
        list(looks),
        conditions,
        shares,
        _seconds(results),
        results.privileged,
    )


def _seconds(results: Results) -> float:
    stages = results.stages["seconds"].sum()
    # A row for validation and one for test.
    runs = results.runs.drop_duplicates(["task", "method", "params", "seed"])
    return float(stages + runs["train_seconds"].sum())


def judge(claims: Sequence[Tested], declared: Mapping[Key, ClaimContrast]) -> list[Judged]:
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
    judged = []
    for each in claims:
        of_claim = [decisions[each.name, contrast.name] for contrast in each.claim.contrasts]
        verdict = claim_verdict([decision.outcome for decision in of_claim])
        judged.append(Judged(each, of_claim, verdict))
    return judged


def declared_contrasts(claims: Iterable[Tested]) -> dict[Key, ClaimContrast]:
    """Return the contrasts of these claims and of all built-in ones, tested or not.

    By the names of claim and contrast. Holm's procedure corrects for all of them.
    """
    every = [(named.name, named.claim) for named in map(load_claim, claim_names())]
    every += [(each.name, each.claim) for each in claims]
    return {(name, of.name): of for name, claim in every for of in claim.contrasts}


def judged_claims(folder: Path) -> list[Judged]:
    """Return the claims that were tested below a folder, with their verdicts.

    Raises:
        UserError: A file is damaged.
    """
    claims = load_tested(folder)
    return judge(claims, declared_contrasts(claims))


def decided_claims(folder: Path) -> set[str]:
    """Return the names of the claims below a folder of which all contrasts are decided."""
    claims = load_tested(folder)
    of_all = len(declared_contrasts(claims))
    return {c.name for c in claims if is_decided(c.claim.contrasts, c.evidences(), of_all)}


def claim_text(claim: Claim, looks: Sequence[int]) -> str:
    """Return what a results folder keeps of the claim that it is of."""
    return yaml_text({"looks": list(looks), "claim": claim.model_dump()})


def load_tested(folder: Path) -> list[Tested]:
    """Return the tested claims below a folder.

    Raises:
        UserError: A file is damaged.
    """
    return [_load(file.parent) for file in sorted(folder.glob(f"*/{FILE}"))]


def _load(folder: Path) -> Tested:
    file = folder / FILE
    content = read_yaml(file)
    looks = content.get("looks") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(looks, list) or not _ascend(looks):
        raise UserError(f"{file}: must have `looks`, whole numbers that ascend, and `claim`")
    claim = parse_claim(content.get("claim"), str(file))
    return tested(NamedClaim(folder.name, claim), looks, load_results(folder))


def _ascend(looks: list[Any]) -> bool:
    """Return whether these are whole numbers above 0, each above the one before."""
    numbers = all(type(look) is int and look > 0 for look in looks)
    return bool(looks) and numbers and looks == sorted(set(looks))

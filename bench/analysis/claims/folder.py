"""A folder of tested claims: each has the results of its experiment, and the claim as a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.analysis.claims.checking import check_contrasts
from bench.analysis.claims.decisions import needs_no_seeds
from bench.analysis.claims.results import (
    ClaimResult,
    Tested,
    claim_results,
    declared_contrasts,
    measured,
)
from bench.config.claim import Claim, NamedClaim, parse_claim
from bench.config.yaml_text import read_yaml, yaml_text
from bench.errors import UserError
from bench.results.loading import load_results

# In the results folder of a claim's experiment.
FILE = "claim.yaml"


def load_claim_results(folder: Path) -> list[ClaimResult]:
    """Return the claims that were tested below a folder, with their verdicts.

    Raises:
        UserError: A file is damaged.
    """
    claims = load_tested(folder)
    return claim_results(claims, declared_contrasts(claims))


def finished_claims(folder: Path, names: Iterable[str]) -> set[str]:
    """Return which of these claims below a folder need no more seeds; see `needs_no_seeds`."""
    there, asked = load_tested(folder), set(names)
    of_all = len(declared_contrasts(there))
    return {
        of.name
        for of in there
        if of.name in asked
        and needs_no_seeds(of.claim.contrasts, of.evidences(), of_all, of.looks[-1] / of.most)
    }


def claim_text(claim: Claim, looks: Sequence[int]) -> str:
    """Return what a results folder keeps of the claim that it is of."""
    return yaml_text({"looks": list(looks), "claim": claim.model_dump()})


def looks_by_claim(folder: Path) -> dict[str, tuple[Claim, list[int]]]:
    """Return each claim below a folder, and the numbers of seeds at which it was tested.

    Raises:
        UserError: A file is damaged.
    """
    kept = [_kept(file.parent) for file in sorted(folder.glob(f"*/{FILE}"))]
    return {claim.name: (claim.claim, looks) for claim, looks in kept}


def load_tested(folder: Path) -> list[Tested]:
    """Return the tested claims below a folder.

    Raises:
        UserError: A file is damaged.
    """
    return [_load(file.parent) for file in sorted(folder.glob(f"*/{FILE}"))]


def _load(folder: Path) -> Tested:
    claim, looks = _kept(folder)
    return measured(claim, looks, load_results(folder))


def _kept(folder: Path) -> tuple[NamedClaim, list[int]]:
    """Return the claim that a folder is of, and the numbers of seeds at which it was tested."""
    file = folder / FILE
    content = read_yaml(file)
    looks = content.get("looks") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(looks, list) or not _ascend(looks):
        raise UserError(f"{file}: must have `looks`, whole numbers that ascend, and `claim`")
    claim = NamedClaim(folder.name, parse_claim(content.get("claim"), str(file)))
    check_contrasts(claim, str(file))
    return claim, looks


def _ascend(looks: list[Any]) -> bool:
    """Return whether these are whole numbers above 0, each above the one before."""
    numbers = all(type(look) is int and look > 0 for look in looks)
    return bool(looks) and numbers and looks == sorted(set(looks))

"""At which numbers of seeds claims are tested next. Looks that were taken before count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.config.claim import NamedClaim, matching_settings
from bench.errors import UserError

# Claims, and the numbers of seeds at which each is tested up to now.
Stage = list[tuple[NamedClaim, list[int]]]


def looks_before(claims: Sequence[NamedClaim], folder: Path) -> dict[str, list[int]]:
    """Return the looks at each claim that are in a folder.

    They are empty where the claim in the folder tests something else.

    Raises:
        UserError: A file in the folder is damaged.
    """
    from bench.analysis.claims.folder import looks_by_claim

    kept = looks_by_claim(folder)
    before = {}
    for claim in claims:
        there, looks = kept.get(claim.name, (None, []))
        same = there and _tests(NamedClaim(claim.name, there)) == _tests(claim)
        before[claim.name] = looks if same else []
    return before


def _tests(claim: NamedClaim) -> tuple[object, ...]:
    """Return what a claim tests, without its texts, its factors and what no contrast reads."""
    experiment, contrasts = claim.experiment(claim.claim.seeds[0]), claim.claim.contrasts
    sides = [side for each in contrasts for task in each.tasks for side in each.sides(task) if side]
    tasks = {side.task: experiment.task_objects[side.task] for side in sides}
    settings = [matching_settings(side, experiment) for side in sides]
    return contrasts, tasks, settings, experiment.evaluation, experiment.budget


def only_stage(
    claims: Sequence[NamedClaim], seeds: int | None, before: Mapping[str, list[int]]
) -> Stage:
    """Return the stage of claims that are tested once more.

    Args:
        claims: What is tested.
        seeds: The number of seeds; None for that of each claim.
        before: The looks at each claim so far.

    Raises:
        UserError: A claim was tested with more seeds, whose results would be lost.
    """
    stage = []
    for claim in claims:
        looks = before[claim.name]
        most = max(looks, default=0)
        if seeds and seeds < most:
            raise UserError(
                f"--seeds {seeds}: the folder has {claim.name} with {most} seeds; ask for at "
                "least as many, or name another folder with --out"
            )
        stage.append((claim, sorted({*looks, seeds or max(most, claim.claim.seeds[-1])})))
    return stage


def stages_until_decided(
    claims: Sequence[NamedClaim], before: Mapping[str, list[int]], folder: Path
) -> Iterator[Stage]:
    """Yield what is to be run next: all claims, then those that need it with more seeds.

    Args:
        claims: What is tested.
        before: The looks at each claim so far. The first stage repeats the last of them.
        folder: Where each stage leaves its results before the next is asked for.
    """
    from bench.analysis.claims.folder import finished_claims

    stage = [(claim, before[claim.name] or claim.claim.seeds[:1]) for claim in claims]
    while stage:
        yield stage
        done = finished_claims(folder, [claim.name for claim, _ in stage])
        stage = [
            (claim, [*looks, more[0]])
            for claim, looks in stage
            if claim.name not in done
            and (more := [seeds for seeds in claim.claim.seeds if seeds > looks[-1]])
        ]

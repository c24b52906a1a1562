"""At which numbers of seeds claims are tested next: nothing that is there is lost or forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.analysis.claims.folder import FILE, claim_text
from bench.commands.claims.looks import looks_before, only_stage, stages_until_decided
from bench.config.claim import (
    NamedClaim,
    claim_names,
    load_claim,
    matching_settings,
    parse_claim,
)
from bench.errors import UserError

NAME = "kto_no_worse_than_dpo"


@pytest.fixture
def claim() -> NamedClaim:
    return load_claim(NAME)


def keep(folder: Path, claim: NamedClaim, looks: list[int]) -> None:
    (folder / claim.name).mkdir(parents=True, exist_ok=True)
    (folder / claim.name / FILE).write_text(claim_text(claim.claim, looks))


def test_looks_count_unless_something_else_is_tested(tmp_path: Path, claim: NamedClaim) -> None:
    assert looks_before([claim], tmp_path) == {NAME: []}
    reworded = claim._replace(claim=claim.claim.model_copy(update={"title": "Another"}))
    keep(tmp_path, reworded, [12, 18])
    assert looks_before([claim], tmp_path) == {NAME: [12, 18]}
    fewer = claim.claim.model_copy(update={"contrasts": claim.claim.contrasts[:1]})
    keep(tmp_path, claim._replace(claim=fewer), [12, 18])
    assert looks_before([claim], tmp_path) == {NAME: []}


def changed(claim: NamedClaim, *path: str, value: object) -> NamedClaim:
    content = claim.claim.model_dump()
    part = content
    for key in path[:-1]:
        part = part.setdefault(key, {})
    part[path[-1]] = value
    return NamedClaim(claim.name, parse_claim(content, "here"))


TASKS = ("experiment", "tasks")
DPO = {"grid": {"beta": [0.3]}}
SIDE = {"method": "dpo", "task": "half_liked"}


@pytest.mark.parametrize(
    ("path", "value", "looks"),
    [
        ((*TASKS, "half_liked", "methods", "dpo"), DPO, []),
        ((*TASKS, "half_liked", "options", "labels"), 64, []),
        (("shared", "options", "labels"), 64, []),
        (("experiment", "evaluation", "responses_per_prompt"), 3, []),
        (("experiment", "budget"), 128, []),
        # No contrast reads these.
        ((*TASKS, "tenth_liked", "methods", "dpo"), DPO, [12, 18]),
        ((*TASKS, "another"), {}, [12, 18]),
        (("factors", "labels"), {"better": SIDE, "worse": SIDE}, [12, 18]),
    ],
)
def test_looks_count_unless_something_that_a_contrast_reads_was_changed(
    tmp_path: Path, claim: NamedClaim, path: tuple[str, ...], value: object, looks: list[int]
) -> None:
    keep(tmp_path, changed(claim, *path, value=value), [12, 18])
    assert looks_before([claim], tmp_path) == {NAME: looks}


@pytest.mark.parametrize("name", claim_names())
def test_a_built_in_claim_runs_nothing_that_no_contrast_reads(name: str) -> None:
    claim, experiment = load_claim(name).claim, load_claim(name).experiment(6)
    sides = [side for each in claim.contrasts for task in each.tasks for side in each.sides(task)]
    sides += [side for each in claim.factors.values() for side in (each.better, each.worse)]
    read = [(side.task, matching_settings(side, experiment)) for side in sides if side]
    unread = [
        (task, setting.name, setting.params)
        for task in experiment.tasks
        for setting in experiment.settings(task)
        if setting.name != "sft" and not any(task == t and setting in some for t, some in read)
    ]
    assert unread == []


@pytest.mark.parametrize(
    ("before", "seeds", "looks"),
    [
        ([], None, [24]),
        ([], 3, [3]),
        ([12, 18], None, [12, 18, 24]),
        ([12, 18, 24], None, [12, 18, 24]),
        ([12, 18, 24], 36, [12, 18, 24, 36]),
        ([36], None, [36]),
    ],
)
def test_a_single_stage_adds_a_look(
    claim: NamedClaim, before: list[int], seeds: int | None, looks: list[int]
) -> None:
    assert only_stage([claim], seeds, {NAME: before}) == [(claim, looks)]


def test_fewer_seeds_than_there_are_would_lose_some(claim: NamedClaim) -> None:
    with pytest.raises(UserError, match=r"^--seeds 3: the folder has .* with 24 seeds; .*--out"):
        only_stage([claim], 3, {NAME: [12, 24]})


@pytest.mark.parametrize(
    ("before", "decided_at", "stages"),
    [
        ([], None, [[12], [12, 18], [12, 18, 24]]),
        ([], 18, [[12], [12, 18]]),
        ([12, 18], None, [[12, 18], [12, 18, 24]]),
        ([24], None, [[24]]),
    ],
)
def test_seeds_are_added_from_where_they_are(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    claim: NamedClaim,
    before: list[int],
    decided_at: int | None,
    stages: list[list[int]],
) -> None:
    seen: list[list[int]] = []

    def decided(folder: Path, names: list[str]) -> set[str]:
        return set(names) if seen[-1][-1] == decided_at else set()

    monkeypatch.setattr("bench.analysis.claims.folder.finished_claims", decided)
    for [(_, looks)] in stages_until_decided([claim], {NAME: before}, tmp_path):
        seen.append(looks)
    assert seen == stages

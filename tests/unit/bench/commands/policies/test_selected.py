"""From a results folder to its policies: what is selected, and what a mistake is answered with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.synthetic import fail, make_runs, write_folder

from bench.commands.policies.selected import TaskPolicies
from bench.errors import UserError

EXPERIMENT = """
name: made_up
keep: selected
tasks: {polite: {}, exact: {}}
methods: {sft: {}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A results folder of two tasks, and a cache with one of its policies."""
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))
    runs = make_runs(["polite", "exact"], ["sft", "dpo", "ppo"], 3)
    runs = fail(runs, (runs["method"] == "ppo") & (runs["task"] == "exact"), "out of memory")
    out = write_folder(tmp_path / "run", runs)
    (out / "experiment.yaml").write_text(EXPERIMENT)
    policies = TaskPolicies.of(out, "polite")
    entries = [
        {
            "task": "polite",
            "method": "dpo",
            "params": policies.settings["dpo"],
            "seed": seed,
            "folder": f"policy/{seed:020x}",
        }
        for seed in range(3)
    ]
    manifest = json.loads((out / "manifest.json").read_text())
    manifest |= {"policies": entries, "stages": [], "command": "prefrontier bench made_up"}
    (out / "manifest.json").write_text(json.dumps(manifest))
    return out


def keep_policy(folder: Path, seed: int) -> Path:
    place = folder.parent / "cache" / "policy" / f"{seed:020x}"
    place.mkdir(parents=True)
    (place / "policy.json").write_text("{}")
    return place


def test_the_seed_is_the_best_on_validation_prompts_of_those_in_the_cache(folder: Path) -> None:
    policies = TaskPolicies.of(folder, "polite")
    runs = policies.results.runs
    rows = runs[(runs["task"] == "polite") & (runs["method"] == "dpo")]
    rows = rows[(rows["split"] == "validation") & (rows["params"] == policies.settings["dpo"])]
    best, *others = policies.seeds("dpo")
    assert best == rows.set_index("seed")["reward"].idxmax()
    keep_policy(folder, others[0])
    assert policies.existing("dpo").seed == others[0]
    place = keep_policy(folder, best)
    assert policies.existing("dpo").folder == place
    assert policies.existing("dpo", others[0]).seed == others[0]


@pytest.mark.parametrize(
    ("task", "method", "seed", "message"),
    [
        ("", "dpo", None, r"--task: .* has several tasks; name one of polite, exact"),
        ("poilte", "dpo", None, r"--task: unknown task 'poilte'; .* has polite, exact"),
        ("polite", "pppo", None, "'pppo' was not compared on polite; allowed: sft, dpo, ppo"),
        ("exact", "ppo", None, "'ppo' has no finished run on exact; allowed: sft, dpo"),
        ("polite", "dpo", 7, "--seed: dpo has no finished seed 7; allowed: 0, 1, 2"),
        (
            "polite",
            "dpo",
            None,
            "is not in the cache .*`prefrontier bench made_up`",
        ),
        (
            "polite",
            "ppo",
            None,
            r"was not kept \(keep: selected\).* polite --method ppo --train",
        ),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    folder: Path, task: str, method: str, seed: int | None, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        TaskPolicies.of(folder, task).existing(method, seed)
    assert "\n" not in str(caught.value)


def test_a_manifest_leads_to_no_place_outside_the_cache(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    for entry in manifest["policies"]:
        entry["folder"] = "../elsewhere"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder.parent / "elsewhere").mkdir()
    (folder.parent / "elsewhere" / "policy.json").write_text("{}")
    with pytest.raises(UserError, match="was not kept"):
        TaskPolicies.of(folder, "polite").existing("dpo")

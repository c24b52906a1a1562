"""From a results folder to its policies: what is selected, and what a mistake is answered with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.synthetic import fail, make_runs, write_folder

from bench.commands.policies.selected import TaskPolicies
from bench.commands.policies.training import list_policy
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
            "is not in the cache .*, or train the policy again with --train",
        ),
        (
            "polite",
            "ppo",
            None,
            r"seed \d, was not kept \(keep: selected\); --train trains it again",
        ),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    folder: Path, task: str, method: str, seed: int | None, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        TaskPolicies.of(folder, task).existing(method, seed)
    assert "\n" not in str(caught.value)


def test_a_policy_that_was_trained_again_is_found(folder: Path) -> None:
    def listed(method: str, place: str) -> None:
        policies = TaskPolicies.of(folder, "polite")
        params = policies.settings[method]
        identity = {"task": "polite", "method": method, "params": params, "seed": 1}
        list_policy(folder / "manifest.json", identity, place)

    place = keep_policy(folder, 11)
    listed("ppo", f"policy/{2:020x}")
    listed("sft", f"policy/{12:020x}")
    listed("ppo", f"policy/{11:020x}")
    policies = TaskPolicies.of(folder, "polite")
    assert policies.existing("ppo", 1).folder == place
    assert policies.policy("sft", 1).folder is not None
    assert len(policies.results.manifest["policies"]) == 3 + 2
    assert policies.results.manifest["command"] == "prefrontier bench made_up"


def test_a_lost_sft_policy_is_made_by_the_run(folder: Path) -> None:
    with pytest.raises(UserError, match=r"SFT policy of seed 1 .*`prefrontier bench made_up`"):
        TaskPolicies.of(folder, "polite").sft(1)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("manifest.json", "{", r"manifest\.json: not readable as JSON"),
        ("runs.csv", "a,b\n", "column task is missing; needed: task, method"),
        ("experiment.yaml", "name: [", r"experiment\.yaml: not readable as YAML"),
    ],
)
def test_a_broken_file_is_named_in_one_line(
    folder: Path, file: str, content: str, message: str
) -> None:
    (folder / file).write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        _ = TaskPolicies.of(folder, "polite").sampling
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

"""Whether folders are comparable, and what is said to differ if not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.several import OPTIONS, run_folder

from bench.report.several.comparability import (
    Comparability,
    common_methods,
    common_tasks,
    comparability,
    sft_sentence,
)
from bench.report.several.folders import read_folders
from bench.results import schema


def compared(*paths: Path, task: str = "polite") -> Comparability:
    return comparability(read_folders(paths), task)


def test_the_same_settings_are_comparable(tmp_path: Path) -> None:
    found = compared(run_folder(tmp_path / "a"), run_folder(tmp_path / "b", seeds=3))
    assert found.comparable and not found.unknown
    assert found.statement.startswith("Comparable on polite: the same options")


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"options": {"labels": 8192}}, "labels 4096 and 8192"),
        ({"options": {"sft": {"examples": 6144, "epochs": 2}}}, "sft.epochs 1 and 2"),
        ({"options": {"columns": {"prompt": "q"}}}, "columns.prompt not set and q"),
        ({"evaluation": {"temperature": 0.7}}, "temperature 1.0 and 0.7"),
        ({"evaluation": {"responses_per_prompt": 4}}, "responses_per_prompt 16 and 4"),
    ],
)
def test_what_differs_is_named(tmp_path: Path, change: dict[str, Any], difference: str) -> None:
    found = compared(run_folder(tmp_path / "a"), run_folder(tmp_path / "b", **change))
    assert not found.comparable
    assert found.statement == f"Not comparable on polite: {difference}."


@pytest.mark.parametrize(
    "change",
    [
        {"methods": ("sft", "dpo")},
        {"experiment": {"methods": {"sft": {}, "dpo": {"grid": {"beta": [9]}}}, "budget": 5}},
        {"evaluation": {"checkpoints": 3, "temperatures": [0.0]}},
        {"manifest": {"commit": "other", "device": "cuda"}},
    ],
)
def test_what_is_under_comparison_may_differ(tmp_path: Path, change: dict[str, Any]) -> None:
    assert compared(run_folder(tmp_path / "a"), run_folder(tmp_path / "b", **change)).comparable


def test_other_sources_of_the_reward_are_named(tmp_path: Path) -> None:
    def judged(runs: pd.DataFrame) -> pd.DataFrame:
        return runs.assign(reward_source="judge")

    manifests = [
        {"tasks": {"polite": {"task": "polite", "judge": judge, "options": OPTIONS}}}
        for judge in (None, "a model")
    ]
    folders = [
        run_folder(tmp_path / "a", manifest=manifests[0]),
        run_folder(tmp_path / "b", manifest=manifests[1], runs=judged),
    ]
    assert compared(*folders).differences == (
        "reward source gold and judge",
        "judge none and a model",
    )


def test_recorded_data_of_another_size_are_named(tmp_path: Path) -> None:
    def about(test: int) -> dict[str, Any]:
        data = {"seconds": test, "kind": "pairs", "rows": {"train": 9, "test": test}}
        return {"tasks": {"polite": {"task": "polite", "options": OPTIONS, "data": data}}}

    folders = [run_folder(tmp_path / str(n), manifest=about(n)) for n in (5, 6)]
    assert compared(*folders).differences == ("data rows.test 5 and 6",)


def test_other_test_prompts_are_counted(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "b")
    samples = schema.SAMPLES.read(folder)
    schema.SAMPLES.write(folder, samples.replace({"prompt": {"c": "e", "d": "f"}}))
    found = compared(run_folder(tmp_path / "a"), folder)
    assert found.differences == ("4 test prompts, of which 2 are the same",)
    schema.SAMPLES.write(folder, samples[samples["prompt"] != "c"])
    assert compared(tmp_path / "a", folder).differences == (
        "4 and 3 test prompts, of which 3 are the same",
    )


def test_many_differences_are_counted(tmp_path: Path) -> None:
    many = {f"option_{i}": i for i in range(8)}
    others = {f"option_{i}": i + 1 for i in range(8)}
    found = compared(
        run_folder(tmp_path / "a", options=many), run_folder(tmp_path / "b", options=others)
    )
    assert "option_4 4 and 5; and 3 more." in found.statement and "option_5" not in found.statement


def test_what_a_folder_does_not_record_is_named_and_no_difference(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "b")
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["tasks"]["polite"]["options"]["labels"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    found = compared(run_folder(tmp_path / "a"), folder)
    assert found.comparable and found.unknown == ("labels",)
    for name in ("manifest.json", "experiment.yaml", "samples.parquet"):
        (folder / name).unlink()
    found = compared(tmp_path / "a", folder)
    assert found.unknown == ("task options", "evaluation", "judge", "test prompts")
    assert found.statement.startswith("Comparable on polite as far as is known")


def test_three_folders_are_comparable_if_all_are(tmp_path: Path) -> None:
    paths = [run_folder(tmp_path / name) for name in "ab"]
    assert compared(*paths, paths[0]).comparable
    other = run_folder(tmp_path / "c", options={"labels": 1})
    assert compared(*paths, other).differences == ("labels 4096, 4096 and 1",)


def test_equal_sft_policies_are_told_from_others(tmp_path: Path) -> None:
    def shifted(runs: pd.DataFrame) -> pd.DataFrame:
        moved = (runs["method"] == "sft") & (runs["seed"] == 1)
        return runs.assign(reward=runs["reward"] + 0.01 * moved)

    def later(runs: pd.DataFrame) -> pd.DataFrame:
        return runs.assign(seed=runs["seed"] + 10)

    base = run_folder(tmp_path / "a")
    sentences = [
        sft_sentence(read_folders([base, run_folder(tmp_path / name, runs=change)]), "polite")
        for name, change in (("b", lambda runs: runs), ("c", shifted), ("d", later))
    ]
    assert sentences[0] == "The SFT policies get the same reward at 2 shared seeds."
    assert sentences[1].startswith("The SFT policies get different rewards at 1 of 2 shared seeds")
    assert sentences[2] == "No seed is in all folders."


def test_only_what_all_folders_have_is_compared(tmp_path: Path) -> None:
    folders = read_folders(
        [
            run_folder(tmp_path / "a", tasks=("exact", "polite"), methods=("sft", "ppo", "dpo")),
            run_folder(tmp_path / "b", tasks=("polite", "haiku"), methods=("sft", "dpo")),
        ]
    )
    assert common_tasks(folders) == ["polite"]
    assert common_methods(folders, "polite") == ["sft", "dpo"]

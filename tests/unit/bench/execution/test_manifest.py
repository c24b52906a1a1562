"""The manifest of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.execution.manifest import calibration, local_sources
from bench.tasks.exact import Exact
from bench.tasks.recorded import Classifier, Recorded


def test_files_and_folders_are_told_from_names_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "models" / "mine").mkdir(parents=True)
    (tmp_path / "prefs.jsonl").write_text("{}")
    task = Recorded(
        data="~/prefs.jsonl",
        model="models/mine",
        judge_model="owner/name",
        judge_classifier=Classifier(str(tmp_path / "models")),
    )
    assert local_sources(task) == ["~/prefs.jsonl", "models/mine", str(tmp_path / "models")]
    assert local_sources(Recorded(data="owner/name:config")) == local_sources(Exact()) == []


def test_a_calibration_beside_the_results_is_the_one_quoted(tmp_path: Path) -> None:
    summary = {"instances": 120}
    (tmp_path / "calibration").mkdir()
    (tmp_path / "calibration" / "summary.json").write_text(json.dumps(summary))
    assert calibration(tmp_path / "mine") == summary

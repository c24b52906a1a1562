"""An experiment names the recorded data and the model of its task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.preferences import experiment_file, pairs, write_rows

from bench.config.files import load_experiment
from bench.errors import UserError
from bench.tasks.recorded import Classifier, Recorded


def test_the_experiment_names_its_data_and_model(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "my prefs.v2.jsonl", pairs(10))
    experiment = load_experiment("recorded", data=str(data), model="1M")
    assert experiment.name == "my-prefs"
    task: Any = experiment.task_objects["recorded"]
    assert (task.data, task.model) == (str(data), "1M")
    with pytest.raises(UserError, match="--model: needs --data"):
        load_experiment("default", model="tiny")
    with pytest.raises(UserError, match="'ppo_gold' learns from the gold reward, which recorded"):
        load_experiment("default", data=str(data))
    assert list(load_experiment("feedback", data=str(data)).tasks) == ["recorded"]


def test_a_large_judge_makes_a_task_large() -> None:
    small = Recorded(data="prefs.jsonl")
    assert small.has_small_model and Recorded(data="x", judge_model="1M").has_small_model
    classifier = Classifier("owner/judge")
    for large in (
        Recorded(data="x", model="10M"),
        Recorded(data="x", judge_model="owner/model"),
        Recorded(data="x", judge_classifier=classifier),
        Recorded(data="x", reward_classifier=classifier),
    ):
        assert not large.has_small_model


def test_unknown_columns_are_refused(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "prefs.jsonl", pairs(10))
    with pytest.raises(UserError, match="columns: unknown 'better'; allowed: prompt, chosen"):
        load_experiment(str(experiment_file(tmp_path, data, columns={"better": "chosen"})))

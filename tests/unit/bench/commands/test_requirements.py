"""What large models take is said before anything is read or trained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.preferences import pairs, write_rows
from helpers.shapes import config_folder

from bench.cache.default import default_store
from bench.commands.experiments.options import Options
from bench.commands.experiments.requirements import check_disk, missing_models
from bench.commands.experiments.run import run_bench
from bench.config.files import load_experiment
from bench.config.narrowing import narrow
from bench.errors import UserError
from bench.execution.plan import Plan
from bench.requirements.disk import Models
from bench.requirements.estimate import estimates
from bench.requirements.machine import this_machine

QUIET: dict[str, Any] = {"methods": [], "tasks": [], "seeds": None, "jobs": 1, "device": "cpu"}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))
    return str(write_rows(tmp_path / "prefs.jsonl", pairs(200)))


def test_a_dry_run_shows_every_stage_and_setting_and_makes_nothing(
    tmp_path: Path, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # The folder has no weights: nothing but the config is read.
    model, out = config_folder(tmp_path, "SmolLM2-135M"), tmp_path / "out"
    options: dict[str, Any] = {"data": data, "model": model, "dry_run": True, "force": True}
    assert run_bench(Options("", **QUIET, out=out, **options)) == 0
    shown = capsys.readouterr().out
    assert "recorded: about" in shown and "of disk" in shown
    for work in ("judge", "SFT policy", "reward model", "dpo beta=0.1", "ppo kl_coef=0.05"):
        assert work in shown
    assert not (tmp_path / "cache").exists() and not any(out.glob("*"))


def test_what_does_not_fit_stops_the_run_before_it_starts(tmp_path: Path, data: str) -> None:
    model = config_folder(tmp_path, "Llama-3.1-8B")
    with pytest.raises(
        UserError, match=r"tasks\.recorded: .* of memory, and .* are free"
    ) as caught:
        run_bench(Options("pretrained_3B", **QUIET, data=data, model=model, out=tmp_path / "out"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_a_config_that_cannot_be_read_is_noted(
    tmp_path: Path, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(tmp_path / "missing")
    assert (
        run_bench(Options("", **QUIET, data=data, model=model, out=tmp_path / "out", dry_run=True))
        == 0
    )
    shown = " ".join(capsys.readouterr().out.split())
    assert "cannot be read" in shown and "nothing to estimate" not in shown


def test_only_models_that_have_yet_to_be_made_must_fit_on_the_disk(
    tmp_path: Path, data: str
) -> None:
    large = load_experiment("recorded", data=data, model=config_folder(tmp_path, "gpt2"))
    [estimate] = estimates(large, this_machine("cpu", tmp_path), 1)
    # A thousand terabytes of policies.
    evaluation = estimate.work.evaluation.model_copy(update={"checkpoints": 10**7})
    estimate = replace(estimate, work=replace(estimate.work, evaluation=evaluation))
    small = load_experiment("recorded", data=data)
    plan = Plan.of(narrow(small, tasks=[], methods=["sft", "dpo"], seeds=2), default_store(), "cpu")
    runs = {run.train_key for run in plan.runs}
    assert missing_models(plan, "recorded") == Models(2 + 2 * 2, len(runs))
    with pytest.raises(UserError, match=r"the models take .* of disk, and .* are free"):
        check_disk([estimate], plan, tmp_path)
    # All runs are finished, and no policy is kept.
    for run in plan.runs:
        run.pipeline.store.make("metrics", run.key, lambda folder: {})
    assert missing_models(plan, "recorded") == Models(2 + 2 * 2, 0)
    for stage in ("base_model", "sft"):
        pipeline = plan.pipelines[0]
        pipeline.store.make(stage, pipeline.key(stage), lambda folder: {})
    assert missing_models(plan, "recorded") == Models(1 + 1 + 2, 0)
    check_disk([estimate], plan, tmp_path)


def test_what_is_not_estimated_is_said(
    tmp_path: Path, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model, file = config_folder(tmp_path, "gpt2"), tmp_path / "films.yaml"
    options = {"data": data, "model": model}
    content = {
        "tasks": {"films": {"task": "sentiment", "options": options}},
        "methods": {"sft": {}},
    }
    file.write_text(json.dumps(content))
    assert run_bench(Options(str(file), **QUIET, out=tmp_path / "out", dry_run=True)) == 0
    shown = capsys.readouterr().out
    assert "films: memory and time are not estimated for the task sentiment" in shown
    assert "nothing to estimate" not in shown


def test_small_models_are_passed_over(
    tmp_path: Path, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_bench(Options("", **QUIET, data=data, out=tmp_path / "out", dry_run=True)) == 0
    assert "nothing to estimate" in capsys.readouterr().out

"""What large models take is said before anything is read or trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.preferences import pairs, write_rows
from helpers.shapes import config_folder

from bench.commands.run import run_bench
from bench.errors import UserError

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
    assert run_bench("", **QUIET, out=out, **options) == 0
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
        run_bench("pretrained_3B", **QUIET, data=data, model=model, out=tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_a_config_that_cannot_be_had_is_noted(
    tmp_path: Path, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(tmp_path / "missing")
    assert run_bench("", **QUIET, data=data, model=model, out=tmp_path / "out", dry_run=True) == 0
    assert "cannot be had" in " ".join(capsys.readouterr().out.split())


def test_small_models_are_passed_over(
    tmp_path: Path, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_bench("", **QUIET, data=data, out=tmp_path / "out", dry_run=True) == 0
    assert "nothing to estimate" in capsys.readouterr().out

"""What a comparison takes: its jobs, what is cached, and the time with any number of workers."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from helpers.command import TINY

from bench.commands.experiments.options import Options
from bench.commands.experiments.plan import show_plan


def test_a_plan_counts_jobs_and_runs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(TINY))
    assert show_plan(Options(str(file), device="cpu", jobs=2)) == 0
    lines = capsys.readouterr().out.splitlines()
    counts = {line[:20].strip(): line[20:].split() for line in lines if "0/" in line}
    # Two seeds, and two settings of best_of_n.
    assert {kind: row[:3] for kind, row in counts.items()} == {
        "base_model stage": ["2", "0", "2"],
        "sft stage": ["2", "0", "2"],
        "feedback stage": ["2", "0", "2"],
        "reward_model stage": ["2", "0", "2"],
        "reference samples": ["2", "0", "2"],
        "ppo": ["2", "0", "2"],
        "dpo": ["2", "0", "2"],
        "best_of_n": ["4", "0", "4"],
        "sft": ["2", "0", "2"],
    }
    output = " ".join(lines)
    for words in ("with 2 at a time (1 worker ", "2 workers ", "8 workers ", "64 workers "):
        assert words in output
    assert "longest chain, " in output and "exact base_model stage, seed 0" in output
    assert "the times of 20 of 20 jobs are not known" in output
    assert not any((tmp_path / "cache").rglob("*")) and not (tmp_path / "results").exists()

"""A small calibration from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from bench.calibration.claims import FAMILIES, KINDS
from bench.calibration.contrasts import EFFECTS
from bench.calibration.design import ITSELF
from bench.calibration.verdicts import CALIBRATION_COLUMNS
from bench.cli import main


@pytest.mark.slow
def test_a_small_calibration_for_real(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "calibration"

    def calibrate() -> str:
        with pytest.raises(SystemExit) as ended:
            main(["calibrate", "--quick", "--jobs", "2", "--out", str(out)])
        output = capsys.readouterr().out
        assert not ended.value.code, output
        return output

    assert "12 instances, 12 to prepare; 72 runs, 72 to do" in calibrate()
    judged = pd.read_csv(out / "calibration.csv", keep_default_na=False)
    assert list(judged.columns) == CALIBRATION_COLUMNS
    # Three pairs, two groups of six pipelines that share no instance.
    assert judged.groupby("kind", sort=False)["group"].apply(list).tolist() == [[0, 1]] * 3
    assert set(judged["verdict"]) <= {"better", "worse", "none"}
    found = pd.read_csv(out / "pairs.csv", keep_default_na=False).set_index("kind")
    # Four samples to choose from beat two, and all training a quarter of it.
    assert found.loc["known order", "difference"] > 0
    assert found.loc["crippled", "difference"] > 0
    assert found.loc[ITSELF, "truth"] == "equal"
    summary = json.loads((out / "summary.json").read_text())
    assert summary["false_verdicts"]["of"] == 2
    report = (out / "report.md").read_text()
    assert "ppo vs ppo episodes 128" in report and "calibration.svg" in report
    assert "## Seeds that share test prompts" in report
    assert len(summary["shared_prompts"]["cells"]) == 8
    assert "## Contrasts of claims" in report
    simulated = {(row["kind"], row["effects"]) for row in summary["claims"]["kinds"]}
    assert simulated == {(kind.name, name) for kind in (*KINDS, *FAMILIES) for name in EFFECTS}
    assert (out / "calibration.png").stat().st_size > 0
    assert (out / "calibration.svg").stat().st_size > 0
    assert json.loads((out / "manifest.json").read_text())["failed_runs"] == 0
    tables = ("calibration.csv", "pairs.csv", "shared_prompts.csv", "claims.csv")
    names = (*tables, "summary.json", "report.md", "calibration.svg")
    before = {name: (out / name).read_bytes() for name in names}
    trained = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*.safetensors")}
    assert "12 instances, 0 to prepare; 72 runs, 0 to do" in calibrate()
    assert trained == {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*.safetensors")}
    assert before == {name: (out / name).read_bytes() for name in names}

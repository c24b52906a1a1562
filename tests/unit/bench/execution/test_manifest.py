"""The manifest of a run."""

from __future__ import annotations

import json
from pathlib import Path

from bench.execution.manifest import calibration


def test_a_calibration_beside_the_results_is_the_one_quoted(tmp_path: Path) -> None:
    summary = {"instances": 120}
    (tmp_path / "calibration").mkdir()
    (tmp_path / "calibration" / "summary.json").write_text(json.dumps(summary))
    assert calibration(tmp_path / "mine") == summary

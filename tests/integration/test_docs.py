"""The examples in docs/ that train."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from bench.commands.experiments.options import Options
from bench.commands.experiments.run import run_bench
from bench.tasks import TASKS

ROOT = Path(__file__).parents[2]
SMALL = {
    "name": "echo",
    "seeds": 1,
    "tasks": {
        "echo": {
            "options": {
                "labels": 128,
                "architecture": {"layers": 1, "hidden": 16},
                "pretraining": {"examples": 1024, "epochs": 1, "batch_size": 64},
                "sft": {"examples": 256},
                "reward_model": {"epochs": 1},
            }
        }
    },
    "methods": {"sft": {}, "dpo": {"grid": {"beta": [0.5]}, "examples": 64}},
    "evaluation": {"responses_per_prompt": 2, "frontier_samples": 16, "checkpoints": 0},
}


@pytest.mark.slow
def test_the_example_of_a_task_gives_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")
    [source] = re.findall(r'```python\n("""bench/tasks/echo.py.*?)```', page, re.DOTALL)
    (tmp_path / "echo.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(TASKS, "echo", importlib.import_module("echo").Echo)
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))
    # Workers are processes of their own, which find the module as this one does.
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    experiment = tmp_path / "experiment.yaml"
    experiment.write_text(yaml.safe_dump(SMALL), encoding="utf-8")
    out = tmp_path / "out"
    options = {"methods": [], "tasks": [], "seeds": None, "jobs": 1, "device": "cpu", "out": out}
    assert run_bench(Options(str(experiment), **options)) == 0
    runs = pd.read_csv(out / "runs.csv")
    assert set(runs["status"]) == {"ok"} and set(runs["method"]) == {"sft", "dpo"}
    sections = re.findall(r"^## (.+)$", (out / "report.md").read_text(encoding="utf-8"), re.M)
    assert sections[0] == "Answer" and "Verdicts" in sections
    assert json.loads((out / "manifest.json").read_text())["tasks"]["echo"]["task"] == "echo"

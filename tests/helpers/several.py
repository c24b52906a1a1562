"""Results folders with a whole manifest and experiment, of which tests change something."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from helpers.synthetic import make_runs, write_folder

OPTIONS = {"labels": 4096, "sft": {"examples": 6144, "epochs": 1}, "columns": {}}
EVALUATION = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "responses_per_prompt": 16}


def run_folder(
    folder: Path,
    *,
    tasks: Sequence[str] = ("polite",),
    methods: Sequence[str] = ("sft", "dpo", "ppo"),
    seeds: int = 2,
    runs: Callable[[pd.DataFrame], pd.DataFrame] = lambda runs: runs,
    options: dict[str, Any] | None = None,
    evaluation: dict[str, Any] | None = None,
    experiment: dict[str, Any] | None = None,
    manifest: dict[str, Any] | None = None,
) -> Path:
    """Write a folder as a run leaves it, with these changes of its runs, options and so on."""
    write_folder(folder, runs(make_runs(list(tasks), list(methods), seeds)))
    about = json.loads((folder / "manifest.json").read_text())
    about["name"] = folder.name
    about["tasks"] = {
        task: {"title": task, "task": task, "judge": None, "options": OPTIONS | (options or {})}
        for task in tasks
    }
    (folder / "manifest.json").write_text(json.dumps(about | (manifest or {})))
    content = {
        "name": folder.name,
        "seeds": seeds,
        "tasks": {task: {"options": options or {}} for task in tasks},
        "methods": {method: {} for method in methods},
        "evaluation": EVALUATION | (evaluation or {}),
    }
    (folder / "experiment.yaml").write_text(yaml.safe_dump(content | (experiment or {})))
    return folder

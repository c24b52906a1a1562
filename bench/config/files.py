"""Loading experiment files: built-in ones by name, others by path."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from bench.config.experiment import Experiment, validated
from bench.errors import UserError
from bench.tasks import TASKS
from bench.tasks.recorded import Recorded

BUILT_IN = Path(__file__).parents[1] / "experiments"


def load_experiment(source: str, *, data: str = "", model: str = "") -> Experiment:
    """Return the experiment of this name, or in this file.

    Args:
        source: A built-in experiment's name, or a path.
        data: Replaces the data of the tasks that read recorded preferences. If there is none, such
            a task replaces all tasks.
        model: Replaces the model of those tasks.

    Raises:
        UserError: There is no such file, or it is not a valid experiment.
    """
    file = BUILT_IN / f"{source}.yaml"
    if not file.exists():
        file = Path(source)
    if not file.is_file():
        names = ", ".join(sorted(f.stem for f in BUILT_IN.glob("*.yaml")))
        raise UserError(f"experiment '{source}': no such file; built-in experiments: {names}")
    content = _read(file)
    content.setdefault("name", file.stem)
    if isinstance(content.get("methods"), dict):
        # All other methods are compared with it.
        content["methods"] = {"sft": {}, **content["methods"]}
    if data or model:
        _set_data(content, {"data": data, "model": model})
    return validated(content, str(file))


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{file}: not readable as YAML: {' '.join(str(error).split())}") from None
    keys = list(Experiment.model_fields)
    if not isinstance(content, dict):
        raise UserError(f"{file}: must be a mapping with the keys {', '.join(keys)}")
    if unknown := [key for key in content if key not in keys]:
        raise UserError(f"{file}: unknown key '{unknown[0]}'; allowed: {', '.join(keys)}")
    return content


def _set_data(content: dict[str, Any], options: dict[str, str]) -> None:
    """Set data and model of the tasks that take them, before anything is validated."""
    tasks = content.get("tasks")
    entries = {n: e or {} for n, e in tasks.items()} if isinstance(tasks, dict) else {}
    recorded = {n: e for n, e in entries.items() if isinstance(e, dict) and _takes_data(n, e)}
    if not recorded and not options["data"]:
        raise UserError("--model: needs --data, or an experiment with recorded preferences")
    if not recorded:
        content["tasks"] = recorded = {Recorded.name: {}}
    changes = {name: value for name, value in options.items() if value}
    for name, entry in recorded.items():
        content["tasks"][name] = {**entry, "options": {**(entry.get("options") or {}), **changes}}
    if options["data"]:
        stem = Path(options["data"].rstrip("/")).name.split(".")[0]
        content["name"] = re.sub(r"[^A-Za-z0-9._-]", "-", stem) or content["name"]


def _takes_data(name: str, entry: dict[str, Any]) -> bool:
    task = TASKS.get(entry.get("task") or name)
    return task is not None and task.takes_data

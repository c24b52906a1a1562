"""Loading experiment files: built-in ones by name, others by path."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bench.config.experiment import LONGEST_NAME, Experiment, validated
from bench.config.yaml_text import read_yaml
from bench.errors import UserError, shown
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
    names = sorted(file.stem for file in BUILT_IN.glob("*.yaml"))
    file = BUILT_IN / f"{source}.yaml" if source in names else Path(source)
    if not _exists(file):
        raise UserError(
            f"experiment '{source}': no such file; built-in experiments: {', '.join(names)}"
        )
    content = _read(file)
    content.setdefault("name", file.stem[:LONGEST_NAME])
    if isinstance(content.get("methods"), dict):
        # All other methods are compared with it.
        content["methods"] = {"sft": {}, **content["methods"]}
    if data or model:
        _set_data(content, {"data": data, "model": model})
    return validated(content, str(file))


def _read(file: Path) -> dict[str, Any]:
    content = read_yaml(file)
    keys = list(Experiment.model_fields)
    if not isinstance(content, dict):
        raise UserError(f"{file}: must be a mapping with the keys {', '.join(keys)}")
    if unknown := [key for key in content if key not in keys]:
        raise UserError(f"{file}: unknown key {shown(unknown[0])}; allowed: {', '.join(keys)}")
    return content


def _exists(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:  # its name is too long
        return False


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
        name = re.sub(r"[^A-Za-z0-9._-]", "-", stem).lstrip("._-")[:LONGEST_NAME]
        content["name"] = name or content["name"]


def _takes_data(name: str, entry: dict[str, Any]) -> bool:
    task = TASKS.get(entry.get("task") or name)
    return task is not None and task.takes_data

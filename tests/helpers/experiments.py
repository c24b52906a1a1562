"""A small valid experiment, and copies of it with one change."""

from __future__ import annotations

from pathlib import Path

import yaml

GOOD = {
    "name": "mine",
    "seeds": 2,
    "tasks": {"exact": {"methods": {"dpo": {"grid": {"beta": [0.3]}}}}, "polite": {}},
    "methods": {"sft": {}, "dpo": {"learning_rate": 1e-3}},
}


def write(folder: Path, content: object) -> str:
    file = folder / "experiment.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return str(file)


def changed(*path: str, value: object) -> dict[str, object]:
    content = yaml.safe_load(yaml.safe_dump(GOOD))
    place = content
    for key in path[:-1]:
        place = place.setdefault(key, {})
    place[path[-1]] = value
    return content

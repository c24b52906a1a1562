"""What a model card may say of data and models: names of the hub, and no folders of a machine."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from bench.data.reading import HUB, SUFFIXES


def is_local(name: str, local: Collection[str] | None) -> bool:
    """Return whether a name is that of a file or a folder.

    Args:
        name: As an experiment names data or a model.
        local: The names that were files or folders where the run was made. None for results that
            do not say so: then a name that looks like a path is one, or that is one here.
    """
    if local is not None:
        return name in local
    looks = name.startswith(("/", "~", ".")) or name.lower().endswith(SUFFIXES)
    return looks or Path(name).exists()


def hub_id(name: str, local: Collection[str] | None = None) -> str | None:
    """Return a name if it is one of the hub, None for a path, an embedded size or nothing."""
    return name if HUB.fullmatch(name) and not is_local(name, local) else None


def shown_source(name: str, local: Collection[str] | None = None) -> str:
    """Return a source's name without the folders that it is in on a machine."""
    return name if hub_id(name, local) else Path(name).name


def without_paths(text: str, about: Mapping[str, Any]) -> str:
    """Return a text with the models that a task's options name as `shown_source` shows them.

    Args:
        text: What the manifest or the report says.
        about: What the manifest says of the task.
    """
    options = about.get("options") or {}
    classifiers = (options.get(name) or {} for name in ("judge_classifier", "reward_classifier"))
    names = [
        options.get("judge_model"),
        options.get("model"),
        *(c.get("model") for c in classifiers),
    ]
    for source in map(str, filter(None, names)):
        if "/" in source:
            text = text.replace(source, shown_source(source, about.get("local_sources")))
    return text


def without_folders(value: Any, local: Collection[str] | None = None) -> Any:
    """Return options in which each path is the name of its file or folder."""
    if isinstance(value, dict):
        return {name: without_folders(inner, local) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(inner, local) for inner in value]
    if not isinstance(value, str) or "/" not in value:
        return value
    is_path = value.startswith(("/", "~", ".")) or is_local(value, local)
    return Path(value).name if is_path else value

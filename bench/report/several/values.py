"""Nested settings by dotted keys, and which of their values differ between folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from bench.report.content.display import plain_value, visible
from bench.report.several.folders import Folder

# The value of what a folder does not have, which may have None.
ABSENT: Final = object()
LONGEST_VALUE = 80


def experiment_of(folder: Folder) -> dict[str, Any]:
    """Return the folder's experiment, empty where it is missing."""
    content: dict[str, Any] = yaml.safe_load(folder.results.experiment) or {}
    return content


def flatten(content: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return the values of nested mappings by dotted keys; an empty mapping is a value."""
    flat: dict[str, Any] = {}
    for name, value in content.items():
        key = f"{above}.{name}" if above else str(name)
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, key)
        else:
            flat[key] = value
    return flat


def differing(contents: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the keys whose values are not the same in all, with the values or ABSENT.

    Args:
        contents: Values by dotted keys, one mapping for each folder.
    """
    keys = dict.fromkeys(key for content in contents for key in content)
    rows = {key: [content.get(key, ABSENT) for content in contents] for key in keys}
    return {
        key: values
        for key, values in rows.items()
        if any(value != values[0] for value in values) and not _only_parent(key, values, keys)
    }


def _only_parent(key: str, values: Sequence[Any], keys: Mapping[str, None]) -> bool:
    """Return whether a key is an empty mapping that another folder fills: its keys say it all."""
    empty = all(value is ABSENT or value == {} for value in values)
    return empty and any(other.startswith(f"{key}.") for other in keys)


def value_text(value: object) -> str:
    """Return a value as a cell or a sentence shows it."""
    if value is ABSENT:
        return "not set"
    text = visible(" ".join(("defaults" if value == {} else plain_value(value)).split()))
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"

"""`prefrontier cache list`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from bench.cache.default import default_store
from bench.cache.store import Store
from bench.cache.uses import Use, uses_of
from bench.commands.cache.inventory import Folder, Item, damaged_folders, items, work_folders
from bench.commands.cache.words import size_text, time_text


def print_listing(*, as_json: bool) -> None:
    """Print what is in the cache, as tables or as JSON."""
    found = listing(default_store())
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        _print_tables(found)


def listing(store: Store) -> dict[str, Any]:
    """Return what is in a store, by kind and by experiment, and what is beside the artifacts.

    Sizes are in bytes, times in seconds since the epoch.
    """
    uses, running = uses_of(store), store.users()
    found = items(store, uses)
    by_name = {item.name: item for item in found}
    return {
        "cache": store.address,
        "kinds": [
            {"kind": kind, **_summary(list(group))}
            for kind, group in groupby(found, key=lambda item: item.kind)
        ],
        "experiments": [_of_use(use, by_name, use.name in running) for use in uses],
        "unused": _summary([item for item in found if not _is_used(item, uses)]),
        "work": _folders(work_folders(store)),
        "damaged": _folders(damaged_folders(store)),
    }


def _summary(found: Sequence[Item]) -> dict[str, Any]:
    return {
        "artifacts": len(found),
        "size": sum(item.size for item in found),
        "oldest_use": min((item.used for item in found), default=None),
        "newest_use": max((item.used for item in found), default=None),
    }


def _of_use(use: Use, by_name: dict[str, Item], running: bool) -> dict[str, Any]:
    there = [by_name[name] for name in sorted(use.artifacts) if name in by_name]
    return {
        "experiment": use.experiment,
        "command": use.command,
        "time": use.time,
        "running": running,
        "artifacts": len(there),
        "size": sum(item.size for item in there),
        "kinds": {k: len(list(g)) for k, g in groupby(there, key=lambda item: item.kind)},
    }


def _is_used(item: Item, uses: Sequence[Use]) -> bool:
    return any(item.name in use.artifacts for use in uses)


def _folders(found: Sequence[Folder]) -> dict[str, Any]:
    return {
        "folders": [folder.place.name for folder in found],
        "size": sum(folder.size for folder in found),
    }


def _print_tables(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    console.print(f"cache: {found['cache']}", markup=False, soft_wrap=True)
    kinds = Table("kind", "artifacts", "size", "oldest use", "newest use", box=None)
    for row in found["kinds"]:
        kinds.add_row(
            row["kind"],
            str(row["artifacts"]),
            size_text(row["size"]),
            time_text(row["oldest_use"]),
            time_text(row["newest_use"]),
        )
    console.print(kinds)
    experiments = Table("experiment", "last run", "artifacts", "size", "refers to", box=None)
    for row in found["experiments"]:
        refers = ", ".join(f"{count} {kind}" for kind, count in row["kinds"].items())
        experiments.add_row(
            row["experiment"],
            "now" if row["running"] else time_text(row["time"]),
            str(row["artifacts"]),
            size_text(row["size"]),
            refers,
        )
    if found["experiments"]:
        console.print(experiments)
    for name, what in (
        ("unused", "that no experiment refers to"),
        ("work", "of work that has not ended"),
        ("damaged", "set aside as damaged"),
    ):
        count = found[name].get("artifacts", len(found[name].get("folders", ())))
        if count:
            noun = "artifacts" if name == "unused" else "folders"
            console.print(f"{count} {noun} {what}: {size_text(found[name]['size'])}")

"""A count of what commands make, whichever of their processes makes it."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

# Python runs a module of this name at the start of every process, workers included.
SITE = """
import functools
import os
from bench.cache import artifact

seal = artifact.seal


def note(line):
    with open(os.environ["MADE_LOG"], "a") as log:
        log.write(line + "\\n")


def counted(folder, **about):
    seal(folder, **about)
    key = folder.name.removeprefix(".partial-").partition("-")[0]
    note(f"made {folder.parent.name}/{key}")
    watch_places()


@functools.cache
def watch_places():
    # Not at the start, where it would import torch into processes that need none.
    from bench.cache.store import Store

    publish = Store._publish

    def published(store, sealed, kind, key):
        publish(store, sealed, kind, key)
        note(f"placed {kind}/{key}")

    Store._publish = published


artifact.seal = counted
"""


def counting(folder: Path, log: str = "all") -> dict[str, str]:
    """Return variables with which commands write what they make to a log in the folder."""
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site" / "sitecustomize.py").write_text(SITE)
    path = [str(folder / "site"), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "MADE_LOG": str(folder / f"{log}.log"),
    }


def made(folder: Path, log: str = "all") -> Counter[str]:
    """Return how often each artifact was made, by name."""
    return _noted(folder / f"{log}.log", "made")


def placed(folder: Path, log: str = "all") -> Counter[str]:
    """Return how often each artifact came to its place, where others find it, by name."""
    return _noted(folder / f"{log}.log", "placed")


def _noted(log: Path, what: str) -> Counter[str]:
    lines = log.read_text().splitlines() if log.exists() else []
    return Counter(line.partition(" ")[2] for line in lines if line.startswith(f"{what} "))

"""A count of what commands make, whichever of their processes makes it."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

# Python runs a module of this name at the start of every process, workers included.
SITE = """
import os
from bench.cache import artifact

seal = artifact.seal


def counted(folder, **about):
    seal(folder, **about)
    key = folder.name.removeprefix(".partial-").partition("-")[0]
    with open(os.environ["MADE_LOG"], "a") as log:
        log.write(f"{folder.parent.name}/{key}\\n")


artifact.seal = counted
"""


def counting(folder: Path) -> dict[str, str]:
    """Return variables with which commands write what they make to a log in the folder."""
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site" / "sitecustomize.py").write_text(SITE)
    path = [str(folder / "site"), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, path)), "MADE_LOG": str(folder / "made")}


def made(folder: Path) -> Counter[str]:
    """Return how often each artifact was made, by name."""
    log = folder / "made"
    return Counter(log.read_text().split()) if log.exists() else Counter()

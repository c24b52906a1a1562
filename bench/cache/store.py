"""Artifacts by their key: each is made once, and is either whole or not there."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from bench.cache.files import write_json
from methods.core.models import distributed

# No artifact takes as long to make (seconds).
STALE = 86_400
METRICS_FILE = "stage.json"


def default_store() -> Store:
    """Return the store in PREFRONTIER_CACHE, or in .cache in the working directory."""
    return Store(Path(os.environ.get("PREFRONTIER_CACHE") or ".cache").absolute())


@dataclasses.dataclass(frozen=True)
class Store:
    """A folder of artifacts, each a folder under its kind and key."""

    root: Path

    def folder(self, kind: str, key: str) -> Path:
        """Return where the artifact lies, or will."""
        return self.root / kind / key

    def has(self, kind: str, key: str) -> bool:
        """Return whether the artifact has been made."""
        return self.folder(kind, key).is_dir()

    def make(self, kind: str, key: str, maker: Callable[[Path], Mapping[str, Any]]) -> None:
        """Make an artifact unless it is there, and keep its seconds and its maker's metrics.

        Args:
            kind: The kind of artifact, the name of a folder.
            key: The artifact's key.
            maker: Writes the artifact to an empty folder and returns metrics of it, plain values.
        """
        if distributed.broadcast(self.has(kind, key)):
            return
        with self.create(kind, key) as folder:
            started = time.perf_counter()
            metrics = maker(folder)
            seconds = round(time.perf_counter() - started, 2)
            write_json(folder / METRICS_FILE, {"seconds": seconds, **metrics})

    def metrics(self, kind: str, key: str) -> dict[str, Any]:
        """Return what `make` kept: seconds, and the metrics of the maker."""
        content: dict[str, Any] = json.loads((self.folder(kind, key) / METRICS_FILE).read_text())
        return content

    def workdir(self, key: str) -> Path:
        """Return a folder that stays until its artifact is made, so that work can be resumed."""
        folder = self.root / "work" / key
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def drop_workdir(self, key: str) -> None:
        """Remove a work folder, when no process needs it any more."""
        distributed.all_gather(None)
        shutil.rmtree(self.root / "work" / key, ignore_errors=True)

    def drop(self, kind: str, key: str) -> None:
        """Remove an artifact, if it is there, and its work folder."""
        folder = self.folder(kind, key)
        dropped = folder.with_name(f".partial-dropped-{key}")
        # Renamed first: what is half removed must not pass for an artifact.
        with suppress(FileNotFoundError):
            folder.rename(dropped)
        shutil.rmtree(dropped, ignore_errors=True)
        shutil.rmtree(self.root / "work" / key, ignore_errors=True)

    @contextmanager
    def create(self, kind: str, key: str) -> Iterator[Path]:
        """Give an empty folder to write to; it becomes the artifact if nothing is raised."""
        final = self.folder(kind, key)
        final.parent.mkdir(parents=True, exist_ok=True)
        _sweep(final.parent)
        partial = Path(mkdtemp(prefix=".partial-", dir=final.parent))
        partial.chmod(0o755)
        try:
            yield partial
            if not final.exists() and distributed.is_main():
                partial.rename(final)
            distributed.all_gather(None)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove what killed processes left half-written, but not what is being made."""
    for partial in parent.glob(".partial-*"):
        with suppress(OSError):
            if time.time() - partial.stat().st_mtime > STALE:
                shutil.rmtree(partial, ignore_errors=True)

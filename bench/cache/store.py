"""Artifacts by content hash: each is made once, and is either whole or not there."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from methods.core.models import distributed

LIBRARIES = ("torch", "transformers", "trl", "accelerate", "datasets", "tokenizers", "peft")
# No artifact takes as long to make (seconds).
STALE = 86_400
FIGURES_FILE = "stage.json"


def digest(**content: Any) -> str:
    """Return a short hash of plain values and dataclasses, and of the libraries' versions."""
    content["libraries"] = _versions()
    text = json.dumps(content, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"kind": type(value).__name__, **dataclasses.asdict(value)}
    raise TypeError(f"cannot hash {value!r}")


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}


def source_digest(files: Iterable[Path]) -> str:
    """Return a hash of source files: a change of code makes anew what the code had made."""
    return _digest_of(tuple(sorted(set(files))))


@cache
def _digest_of(files: tuple[Path, ...]) -> str:
    # Read once: a process goes on with the code that it started with.
    total = hashlib.sha256()
    for file in files:
        total.update(file.name.encode())
        total.update(file.read_bytes())
    return total.hexdigest()[:20]


@dataclasses.dataclass(frozen=True)
class Store:
    """A folder of artifacts, each a folder under its kind and hash."""

    root: Path

    def folder(self, kind: str, key: str) -> Path:
        """Return where the artifact lies, or will."""
        return self.root / kind / key

    def has(self, kind: str, key: str) -> bool:
        """Return whether the artifact has been made."""
        return self.folder(kind, key).is_dir()

    def make(self, kind: str, key: str, maker: Callable[[Path], Mapping[str, Any]]) -> None:
        """Make an artifact unless it is there. It keeps its seconds and the figures of its maker.

        maker: gets an empty folder to write to.
        """
        if distributed.agreed(self.has(kind, key)):
            return
        with self.create(kind, key) as folder:
            started = time.perf_counter()
            figures = maker(folder)
            seconds = round(time.perf_counter() - started, 2)
            write_json(folder / FIGURES_FILE, {"seconds": seconds, **figures})

    def figures(self, kind: str, key: str) -> dict[str, Any]:
        """Return what `make` kept: seconds, and what the maker returned."""
        content: dict[str, Any] = json.loads((self.folder(kind, key) / FIGURES_FILE).read_text())
        return content

    def workdir(self, key: str) -> Path:
        """Return a folder that stays until its artifact is made: what a run can go on from."""
        folder = self.root / "work" / key
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def drop_workdir(self, key: str) -> None:
        """Remove a work folder, when no process needs it any more."""
        distributed.gathered(None)
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
            distributed.gathered(None)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove what processes that were killed left half-written, but not what is being made."""
    for partial in parent.glob(".partial-*"):
        with suppress(OSError):
            if time.time() - partial.stat().st_mtime > STALE:
                shutil.rmtree(partial, ignore_errors=True)


def write_text(file: Path, text: str) -> None:
    """Write a file whole: to a temporary name first, then renamed."""
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


def write_json(file: Path, content: Any) -> None:
    """Write JSON whole."""
    write_text(file, json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")

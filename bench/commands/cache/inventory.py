"""What is in the store: artifacts with size and last use, and what is left beside them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from bench.cache.artifact import size_of
from bench.cache.locks import is_locked
from bench.cache.store import BESIDE, DAMAGED, LOCKS, WORK, Store
from bench.cache.uses import Use

# What the names of folders begin with that are not complete.
PARTIAL = ".partial-"


class Item(NamedTuple):
    """An artifact.

    Attributes:
        kind: Its kind.
        key: Its key.
        size: Size of its files (bytes).
        used: When an experiment last used it, else when it was made (seconds since the epoch).
    """

    kind: str
    key: str
    size: int
    used: float

    @property
    def name(self) -> str:
        """Its name, as in "policy/3f2a"."""
        return f"{self.kind}/{self.key}"


class Folder(NamedTuple):
    """A folder or file beside the artifacts.

    Attributes:
        place: Where it is.
        size: Size of all files in it (bytes).
        changed: When it was last changed (seconds since the epoch).
    """

    place: Path
    size: int
    changed: float


def items(store: Store, uses: Sequence[Use]) -> list[Item]:
    """Return all artifacts; a damaged manifest counts as of size 0 and never used."""
    used: dict[str, float] = {}
    for use in uses:
        for name in use.artifacts:
            used[name] = max(used.get(name, 0.0), use.time)
    found = []
    for kind, key in store.names():
        try:
            manifest = store.manifest(kind, key)
            size, made = size_of(manifest), float(manifest.get("made") or 0)
        except (OSError, ValueError, KeyError, TypeError):
            size, made = 0, 0.0
        found.append(Item(kind, key, size, max(made, used.get(f"{kind}/{key}", 0.0))))
    return found


def work_folders(store: Store) -> list[Folder]:
    """Return what makers have written so far, to resume from."""
    return [_measured(place) for place in sorted((store.root / WORK).glob("[!.]*"))]


def damaged_folders(store: Store) -> list[Folder]:
    """Return what was set aside on this machine."""
    return [_measured(place) for place in sorted((store.root / DAMAGED).glob("[!.]*"))]


def leftovers(store: Store) -> list[Folder]:
    """Return what makers left that were killed, and lock files that nobody holds."""
    return [
        _measured(place) for place in (*_partials(store), *_work_of_made(store), *_locks(store))
    ]


def parted(place: Path) -> tuple[str, str]:
    """Return kind and key of what is beside an artifact, as in "policy-3f2a"."""
    kind, _, key = place.name.rpartition("-")
    return kind, key


def name_of(folder: Folder) -> str:
    """Return the name of the artifact that a folder belongs to."""
    return "/".join(parted(folder.place))


def lock_of(store: Store, place: Path) -> Path:
    """Return the lock without which what is beside the artifacts may not be removed."""
    locks = store.root / LOCKS
    if place.parent == locks:
        return place
    if not place.name.startswith(PARTIAL):
        return locks / place.name
    key, _, maker = place.name.removeprefix(PARTIAL).partition("-")
    fetched = "fetch-" if maker.startswith("fetched") else ""
    return locks / f"{fetched}{place.parent.name}-{key}"


def _partials(store: Store) -> Iterator[Path]:
    for kind in store.root.glob("[!.]*"):
        if kind.name not in BESIDE:
            yield from (place for place in kind.glob(f"{PARTIAL}*") if _is_free(store, place))


def _work_of_made(store: Store) -> Iterator[Path]:
    for place in (store.root / WORK).glob("[!.]*"):
        if store.folder(*parted(place)).is_dir() and _is_free(store, place):
            yield place


def _locks(store: Store) -> Iterator[Path]:
    for place in (store.root / LOCKS).glob("*"):
        if place.is_file() and _is_free(store, place):
            yield place


def _is_free(store: Store, place: Path) -> bool:
    lock = lock_of(store, place)
    return not (lock.exists() and is_locked(lock))


def _measured(place: Path) -> Folder:
    size, changed = 0, 0.0
    # Unlike rglob, this leaves out folders that vanish meanwhile.
    below = (Path(folder, name) for folder, *names in os.walk(place) for name in chain(*names))
    for file in (place, *below):
        try:
            about = file.lstat()
        except FileNotFoundError:
            continue
        size += 0 if file.is_dir() else about.st_size
        changed = max(changed, about.st_mtime)
    return Folder(place, size, changed or time.time())

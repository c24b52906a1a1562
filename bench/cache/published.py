"""Artifacts as objects at a URL. What has a manifest is complete: that is written last.

The objects have the names of a store's files, but an artifact's files lie in a folder of their own,
which is named after the checksum in its manifest:

    policy/3f2a.../artifact.json     the manifest
    policy/3f2a.../9b1c.../          the files

So two machines that both publish an artifact do not mix their files: the first manifest counts.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from bench.cache.artifact import MANIFEST, damage, parse_manifest
from bench.cache.objects import Objects
from bench.cache.store import DAMAGED

logger = logging.getLogger("prefrontier")


@dataclass(frozen=True)
class Published:
    """Artifacts at a URL."""

    objects: Objects

    def text(self, kind: str, key: str) -> bytes | None:
        """Return the text of an artifact's manifest; None if it is not published."""
        return self.objects.read(_manifest_name(kind, key))

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield kind and key of all artifacts."""
        for name in self.objects.sizes(""):
            kind, _, rest = name.partition("/")
            key, _, file = rest.partition("/")
            if kind != DAMAGED and file == MANIFEST:
                yield kind, key

    def unnamed(self) -> Iterator[tuple[str, str, str]]:
        """Yield folders of files that no manifest names, each with kind and key of its artifact."""
        places = {tuple(name.split("/")[:3]) for name in self.objects.sizes("")}
        for kind, key, folder in (place for place in places if len(place) == 3):
            if kind != DAMAGED and folder != MANIFEST:
                text, place = self.text(kind, key), f"{kind}/{key}/{folder}"
                if text is None or place != _files_folder(kind, key, text):
                    yield kind, key, place

    def publish(self, whole: Path, kind: str, key: str) -> bool:
        """Upload a folder; return whether it is the artifact now: not if there is another."""
        text = (whole / MANIFEST).read_bytes()
        if self.text(kind, key) is not None:
            return False
        place = _files_folder(kind, key, text)
        files = parse_manifest(text)["files"]
        self.objects.upload({f"{place}/{name}": whole / name for name in files})
        first = self.objects.create(_manifest_name(kind, key), text)
        if not first:
            self.objects.remove(place)
        return first

    def download(self, kind: str, key: str, folder: Path) -> str:
        """Fetch an artifact to an empty folder.

        Returns:
            What is wrong with it, in a few words; "" if it is whole.
        """
        text = self.text(kind, key)
        if text is None:
            return f"it has no {MANIFEST}"
        if found := self._damage(kind, key, text):
            return found
        place, entries = _files_folder(kind, key, text), parse_manifest(text)["files"]
        files = {f"{place}/{name}": folder / name for name in entries}
        for file in files.values():
            file.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.objects.download(files)
        except FileNotFoundError:
            return "one of its files is missing"
        for name, entry in entries.items():
            os.utime(folder / name, ns=(entry["changed"], entry["changed"]))
        (folder / MANIFEST).write_bytes(text)
        return damage(folder, full=True)

    def damage(self, kind: str, key: str, *, full: bool = False) -> str:
        """Return what is wrong with an artifact, in a few words; "" if it is whole or not there.

        Args:
            kind: The kind of artifact.
            key: Its key.
            full: Whether to read its files, of which otherwise only the sizes are compared.
        """
        text = self.text(kind, key)
        return "" if text is None else self._damage(kind, key, text, full)

    def _damage(self, kind: str, key: str, text: bytes, full: bool = False) -> str:
        try:
            entries: dict[str, dict[str, Any]] = parse_manifest(text)["files"]
        except (ValueError, KeyError, RecursionError):
            return f"{MANIFEST} is damaged"
        place = _files_folder(kind, key, text)
        sizes = self.objects.sizes(place)
        for name, entry in entries.items():
            path, object_name = PurePosixPath(name), f"{place}/{name}"
            if path.is_absolute() or ".." in path.parts:
                return f"{name} is not one of its files"
            if object_name not in sizes:
                return f"{name} is missing"
            if sizes[object_name] != entry["size"]:
                return f"{name} is damaged"
            if full and self._sha256(object_name) != entry["sha256"]:
                return f"{name} is damaged"
        return ""

    def remove(self, kind: str, key: str) -> None:
        """Remove an artifact, if it is there."""
        # First the manifest: what is half removed must not pass for an artifact.
        self.objects.remove(_manifest_name(kind, key), f"{kind}/{key}")

    def set_aside(self, kind: str, key: str, found: str) -> None:
        """Move a damaged artifact out of the way, and say so."""
        folder, place = f"{kind}/{key}", f"{DAMAGED}/{kind}-{key}"
        self.objects.move(_manifest_name(kind, key), f"{place}/{MANIFEST}")
        self.objects.move(folder, place)
        where = f"{self.objects.url}/{folder}"
        logger.warning("%s: %s: set aside in %s, and made again", where, found, place)

    def _sha256(self, name: str) -> str:
        total = sha256()
        with suppress(FileNotFoundError):
            for piece in self.objects.chunks(name):
                total.update(piece)
        return total.hexdigest()


def _manifest_name(kind: str, key: str) -> str:
    return f"{kind}/{key}/{MANIFEST}"


def _files_folder(kind: str, key: str, manifest: bytes) -> str:
    """Return the name under which the files of an artifact with this manifest are."""
    return f"{kind}/{key}/{sha256(manifest).hexdigest()[:20]}"

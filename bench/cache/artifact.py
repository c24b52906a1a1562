"""An artifact's folder, and the manifest of its files by which damage is noticed."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.cache.files import write_text

MANIFEST = "artifact.json"
# Files that are small are read in full whenever their artifact is checked (bytes). Larger ones are
# trusted while their size and the time of their last change are those of the manifest.
SMALL = 2**26


def seal(folder: Path, **about: Any) -> None:
    """Write the manifest of a folder whose other files are complete.

    Args:
        folder: The artifact's folder.
        about: What else the manifest says, plain values.
    """
    files = {name: _entry(folder / name) for name in _files(folder)}
    content = {"files": files, **about}
    write_text(folder / MANIFEST, json.dumps({"checksum": _checksum(content), **content}, indent=1))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what `seal` wrote.

    Raises:
        ValueError: The manifest is damaged.
        OSError: It is not there, or cannot be read.
    """
    return parse_manifest((folder / MANIFEST).read_bytes())


def parse_manifest(text: bytes) -> dict[str, Any]:
    """Return what `seal` wrote, from its text.

    Raises:
        ValueError: The manifest is damaged.
    """
    content = json.loads(text)
    if not isinstance(content, dict) or content.pop("checksum", None) != _checksum(content):
        raise ValueError(f"{MANIFEST} is damaged")
    return content


def damage(folder: Path, *, full: bool = False) -> str:
    """Return what is wrong with an artifact, in a few words; "" if it is whole.

    Args:
        folder: The artifact's folder.
        full: Whether to read large files too, which otherwise are only looked at.

    Raises:
        OSError: The folder cannot be read.
    """
    try:
        files: dict[str, dict[str, Any]] = read_manifest(folder)["files"]
    except (FileNotFoundError, NotADirectoryError):
        return f"it has no {MANIFEST}"
    except (ValueError, KeyError, RecursionError, IsADirectoryError):
        return f"{MANIFEST} is damaged"
    there = set(_files(folder))
    if missing := sorted(files.keys() - there):
        return f"{missing[0]} is missing"
    if foreign := sorted(there - files.keys()):
        return f"{foreign[0]} is not one of its files"
    changed = (name for name, entry in files.items() if _is_changed(folder / name, entry, full))
    first = next(changed, "")
    return f"{first} is damaged" if first else ""


def size_of(manifest: dict[str, Any]) -> int:
    """Return the size of all files of an artifact (bytes)."""
    return sum(entry["size"] for entry in manifest["files"].values())


def remove_folders(*folders: Path) -> None:
    """Remove folders, as far as they are there."""
    for folder in folders:
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
        else:
            folder.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[str]:
    """Yield the artifact's files, without the manifest and hidden files, in order."""
    for place in sorted(folder.rglob("*")):
        name = place.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if not hidden and str(name) != MANIFEST and not place.is_dir():
            yield name.as_posix()


def _entry(file: Path) -> dict[str, Any]:
    about = file.stat()
    return {"size": about.st_size, "changed": about.st_mtime_ns, "sha256": _sha256(file)}


def _is_changed(file: Path, entry: dict[str, Any], full: bool) -> bool:
    try:
        return _differs(file, entry, full)
    except OSError as error:
        # Removed at this moment, or on a part of the disk that cannot be read.
        if error.errno in (errno.ENOENT, errno.EIO):
            return True
        raise


def _differs(file: Path, entry: dict[str, Any], full: bool) -> bool:
    about = file.stat()
    if about.st_size != entry["size"]:
        return True
    untouched = about.st_mtime_ns == entry["changed"]
    if untouched and about.st_size > SMALL and not full:
        return False
    # Where a file has been read once, the process reads it again only if it was touched.
    known = _sha256(file) if full else _known_sha256(file, about.st_size, about.st_mtime_ns)
    return bool(known != entry["sha256"])


@lru_cache(maxsize=100_000)
def _known_sha256(file: Path, size: int, changed: int) -> str:
    return _sha256(file)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _checksum(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()

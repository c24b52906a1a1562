"""Objects under a URL, in any store that fsspec knows: s3://, gs://, file://, memory:// and others.

Every failure is one line that names the URL, whatever the store's own library raises.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench.errors import Unusable, reason_of


@dataclass(frozen=True)
class Objects:
    """Objects by name, under a URL."""

    url: str

    def read(self, name: str) -> bytes | None:
        """Return an object's content; None if there is no such object."""
        with self._reached() as (fs, root):
            try:
                content: bytes = fs.cat_file(f"{root}/{name}")
            except (FileNotFoundError, IsADirectoryError):
                return None
            return content

    def write(self, name: str, content: bytes) -> None:
        """Write an object, whether it exists or not."""
        with self._reached(writes=True) as (fs, root):
            if _is_local(fs):
                _partial(fs, f"{root}/{name}", content).replace(f"{root}/{name}")
            else:
                fs.pipe_file(f"{root}/{name}", content)

    def create(self, name: str, content: bytes) -> bool:
        """Write an object unless there is one; return whether it is the one that is there.

        Where the store has no such operation, the last of several that do it at once wins.
        """
        with self._reached(writes=True) as (fs, root):
            try:
                if _is_local(fs):
                    partial = _partial(fs, f"{root}/{name}", content)
                    try:
                        Path(f"{root}/{name}").hardlink_to(partial)
                    finally:
                        partial.unlink()
                else:
                    fs.pipe_file(f"{root}/{name}", content, mode="create")
            except FileExistsError:
                # Perhaps it is this one: libraries try again where they got no answer.
                pass
        return self.read(name) == content

    def upload(self, files: Mapping[str, Path]) -> None:
        """Write files as objects, by the objects' names."""
        with self._reached(writes=True) as (fs, root):
            names = [f"{root}/{name}" for name in files]
            if _is_local(fs):
                for name in names:
                    fs.makedirs(fs._parent(name), exist_ok=True)
            fs.put([str(file) for file in files.values()], names)

    def download(self, files: Mapping[str, Path]) -> None:
        """Write objects to files, by the objects' names. The files' folders must be there.

        Raises:
            FileNotFoundError: One of them is not there.
        """
        with self._reached() as (fs, root):
            fs.get([f"{root}/{name}" for name in files], [str(file) for file in files.values()])

    def chunks(self, name: str, size: int = 2**24) -> Iterator[bytes]:
        """Yield an object's content piece by piece.

        Raises:
            FileNotFoundError: There is no such object.
        """
        with self._reached() as (fs, root), fs.open(f"{root}/{name}", "rb") as content:
            while piece := content.read(size):
                yield piece

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the sizes of all objects under a name (bytes), by their names."""
        with self._reached() as (fs, root):
            try:
                found: dict[str, Any] = fs.find(f"{root}/{folder}", detail=True)
            except FileNotFoundError:
                return {}
            start = len(fs._strip_protocol(root)) + 1
            return {name[start:]: about["size"] for name, about in found.items()}

    def remove(self, *names: str) -> None:
        """Remove objects, and all objects below these names. Those that are gone are ignored."""
        with self._reached() as (fs, root):
            for name in names:
                try:
                    fs.rm(f"{root}/{name}", recursive=True)
                except FileNotFoundError:
                    continue

    def move(self, name: str, to: str) -> None:
        """Move an object, or all objects below a name. Those that are gone are ignored."""
        with self._reached() as (fs, root):
            for old in self.sizes(name):
                with suppress(FileNotFoundError):
                    new = f"{root}/{to}{old.removeprefix(name)}"
                    if _is_local(fs):
                        fs.makedirs(fs._parent(new), exist_ok=True)
                    fs.mv(f"{root}/{old}", new)

    def check(self) -> None:
        """Raise Unusable if objects cannot be written and read here."""
        name = f"locks/.probe-{uuid4().hex}"
        self.write(name, b"?")
        if self.read(name) != b"?":
            raise Unusable(f"{self.url}: what is written to it cannot be read")
        self.remove(name)

    @contextmanager
    def _reached(self, *, writes: bool = False) -> Iterator[tuple[Any, str]]:
        """Give the file system and the root's path in it; failures become one line.

        Args:
            writes: Whether what is not found is a failure too, such as a bucket.
        """
        # Its libraries take a quarter of a second.
        from fsspec.core import url_to_fs

        try:
            # Others change what is there at any moment.
            yield url_to_fs(self.url, use_listings_cache=False)
        except Unusable:
            raise
        except ImportError as error:
            remedy = "; install prefrontier[s3]" if self.url.startswith(("s3:", "s3a:")) else ""
            raise Unusable(f"PREFRONTIER_CACHE: {self.url}: {reason_of(error)}{remedy}") from None
        except Exception as error:  # each store has its own
            if isinstance(error, FileNotFoundError) and not writes:
                raise
            # A full disk of this machine is no fault of the store.
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            reason = reason_of(error) or type(error).__name__
            raise Unusable(f"PREFRONTIER_CACHE: {self.url} cannot be used: {reason}") from None


def _is_local(fs: Any) -> bool:
    """Return whether objects are files of this machine, where others could see half of one."""
    return "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))


def _partial(fs: Any, name: str, content: bytes) -> Path:
    """Write what is to become an object, beside it."""
    fs.makedirs(fs._parent(name), exist_ok=True)
    partial = Path(f"{name}.{os.getpid()}-{uuid4().hex}.partial")
    partial.write_bytes(content)
    return partial

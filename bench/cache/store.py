"""Artifacts by their key: each is made once, by one process, and is either whole or not there.

A store is a folder. An artifact is a folder in it, under its kind and key:

    policy/3f2a.../          files, and their manifest artifact.json
    work/policy-3f2a.../     what its making has written so far, so that it can be resumed
    locks/policy-3f2a...     locked by the process that makes it
    damaged/policy-3f2a.../  set aside because its files were not those of the manifest
    uses/default-9b1c.json   an experiment and all artifacts that it refers to (see `uses.py`)
    slurm/4711/              what was sent to SLURM, and the logs of its jobs
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from bench.cache.artifact import damage, read_manifest, remove_folders, seal
from bench.cache.files import check_can_be_made, storage_problem, write_text
from bench.cache.locks import is_locked, locked, locked_if_free
from bench.errors import Missing, Unusable
from methods.core.models import distributed

WORK, LOCKS, DAMAGED, USES = "work", "locks", "damaged", "uses"
UNPUBLISHED, SLURM = "unpublished", "slurm"
# Folders of a store that are no kinds of artifacts.
BESIDE = {WORK, LOCKS, DAMAGED, USES, UNPUBLISHED, SLURM}
# The lock of what is written beside artifacts.
RECORDS = "records"

logger = logging.getLogger("prefrontier")


@dataclass(frozen=True)
class Store:
    """A folder of artifacts, each a folder under its kind and key."""

    root: Path

    @property
    def address(self) -> str:
        """Where the artifacts are, for people."""
        return str(self.root)

    def check(self) -> None:
        """Check that the store is there or can be made. Nothing stays written.

        Raises:
            UserError: Nothing can be written to it.
        """
        check_can_be_made(self.root)

    def problem(self) -> str:
        """Return why nothing can be written to the store, in one line; "" if something can."""
        return storage_problem(self.root)

    def folder(self, kind: str, key: str) -> Path:
        """Return where the artifact lies on this machine, or will."""
        return self.root / kind / key

    def has(self, kind: str, key: str) -> bool:
        """Return whether the artifact has been made and is whole.

        A damaged one is set aside, to be made again. Work that outlived its maker is removed.

        Raises:
            Unusable: The store cannot be read.
        """
        whole = self._check(kind, key) == ""
        if whole and self.unfinished(kind, key).exists():
            self._remove_work(kind, key)
        return whole

    def need(self, kind: str, key: str) -> Path:
        """Return the folder of an artifact that must be there.

        Raises:
            Missing: It is not, or it is damaged.
        """
        if not self.has(kind, key):
            raise Missing(f"{kind}/{key}")
        return self.folder(kind, key)

    def local(self, kind: str, key: str) -> Path:
        """Return where the artifact lies on this machine if it has been made, else would lie."""
        return self.folder(kind, key)

    def make(self, kind: str, key: str, maker: Callable[[Path], Mapping[str, Any]]) -> None:
        """Make an artifact unless it is there, and keep its seconds and its maker's metrics.

        Where another process is making it, this one waits and takes the result.

        Args:
            kind: The kind of artifact, the name of a folder.
            key: The artifact's key.
            maker: Writes the artifact to an empty folder and returns metrics of it, plain values.
        """
        if distributed.broadcast(self.has(kind, key)):
            return
        with self._only_maker(kind, key):
            # On NFS, what another machine made may be seen only once its folder is opened.
            with suppress(FileNotFoundError):
                os.close(os.open(self.root / kind, os.O_RDONLY))
            if distributed.broadcast(self.has(kind, key)):
                return
            with self._published(kind, key) as folder:
                started = time.perf_counter()
                metrics = maker(folder)
                seconds = round(time.perf_counter() - started, 2)
                seal(folder, seconds=seconds, metrics=dict(metrics), made=round(time.time()))

    def metrics(self, kind: str, key: str) -> dict[str, Any]:
        """Return what `make` kept: seconds, and the metrics of the maker."""
        manifest = read_manifest(self.need(kind, key))
        return {"seconds": manifest["seconds"], **manifest["metrics"]}

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield kind and key of all artifacts, damaged ones included, in order."""
        kinds = sorted(place for place in self.root.glob("[!.]*") if place.name not in BESIDE)
        for place in (place for kind in kinds for place in sorted(kind.glob("[!.]*"))):
            if place.is_dir():
                yield place.parent.name, place.name

    def manifest(self, kind: str, key: str) -> dict[str, Any]:
        """Return the manifest of an artifact.

        Raises:
            ValueError: It is damaged.
            OSError: It is not there.
        """
        return read_manifest(self.folder(kind, key))

    def workdir(self, kind: str, key: str) -> Path:
        """Return a folder that stays until its artifact is made, so that work can be resumed."""
        folder = self.unfinished(kind, key)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def unfinished(self, kind: str, key: str) -> Path:
        """Return where the folder of `workdir` is, as long as the artifact is not made."""
        return self.beside(WORK, kind, key)

    def lock(self, kind: str, key: str) -> AbstractContextManager[None]:
        """Return the lock of the artifact's maker."""
        return locked(self.beside(LOCKS, kind, key))

    def drop(self, kind: str, key: str) -> bool:
        """Remove an artifact, if it is there, and what is left of its making.

        Returns:
            Whether that was possible: not while another process makes it.
        """
        with locked_if_free(self.beside(LOCKS, kind, key)) as free:
            if free:
                # Renamed first: what is half removed must not pass for an artifact.
                partial = self._partial(kind, key)
                remove_folders(partial)
                with suppress(FileNotFoundError):
                    self.folder(kind, key).rename(partial)
                remove_folders(partial, self.beside(WORK, kind, key))
        return free

    def verify(self, kind: str, key: str) -> str:
        """Read an artifact in full, and set it aside if it is damaged.

        Returns:
            What is wrong with it, in a few words; "" if it is whole or not there.

        Raises:
            Unusable: The store cannot be read.
        """
        return self._check(kind, key, full=True) or ""

    def _remove_work(self, kind: str, key: str) -> None:
        """Remove what was written to make an artifact, unless another process makes it again."""
        with suppress(OSError), locked_if_free(self.beside(LOCKS, kind, key)) as free:
            if free and self._check(kind, key) == "":
                remove_folders(self.unfinished(kind, key))

    def _check(self, kind: str, key: str, *, full: bool = False) -> str | None:
        """Return what is wrong with an artifact, which is set aside; None if it is not there."""
        folder, problem, found = self.folder(kind, key), "", ""
        try:
            found = damage(folder, full=full)
        except OSError as error:
            problem = f"{folder}: cannot be read: {error.strerror}"
        # Another process may have dropped it by now: that is neither damage nor a problem.
        if not os.path.lexists(folder):
            return None
        if problem:
            raise Unusable(problem)
        if found:
            self._set_aside(kind, key, found, full)
        return found

    def _set_aside(self, kind: str, key: str, found: str, full: bool) -> None:
        """Move a damaged artifact out of the way, if possible, unless another process makes it."""
        folder, place = self.folder(kind, key), self.beside(DAMAGED, kind, key)
        try:
            with locked_if_free(self.beside(LOCKS, kind, key)) as free:
                if not (free and os.path.lexists(folder) and damage(folder, full=full)):
                    return
                place.parent.mkdir(exist_ok=True)
                remove_folders(place)
                folder.rename(place)
        except OSError as error:
            logger.warning("%s: %s, and it cannot be moved: %s", folder, found, error.strerror)
        else:
            logger.warning("%s: %s: set aside in %s, and made again", folder, found, place)

    def write_record(self, name: str, content: bytes) -> None:
        """Write a small file beside the artifacts."""
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        # Other commands may write the same one: by way of the same temporary file.
        with locked(self.root / LOCKS / RECORDS):
            write_text(self.root / name, content.decode())

    def records(self, folder: str) -> dict[str, bytes]:
        """Return the small files in a folder beside the artifacts, by name."""
        found = {}
        for file in sorted((self.root / folder).glob("[!.]*.json")):
            with suppress(FileNotFoundError):
                found[f"{folder}/{file.name}"] = file.read_bytes()
        return found

    def remove_record(self, name: str) -> None:
        """Remove a small file, if it is there."""
        (self.root / name).unlink(missing_ok=True)

    @contextmanager
    def in_use(self, name: str) -> Iterator[None]:
        """Say that something with this name is in use, as several processes may at once."""
        for number in count():
            with locked_if_free(self.root / LOCKS / f"{name}-{number}") as free:
                if free:
                    yield
                    return

    def users(self) -> set[str]:
        """Return the names of all records in USES that are in use now."""
        names = {file.stem for file in (self.root / USES).glob("[!.]*.json")}
        locks = [(lock.name.rpartition("-")[0], lock) for lock in (self.root / LOCKS).glob("*-*")]
        return {name for name, lock in locks if name in names and is_locked(lock)}

    def clear(self, *, damaged: bool) -> None:
        """Remove what killed makers left elsewhere than on this machine, and what is damaged."""

    def beside(self, purpose: str, kind: str, key: str) -> Path:
        """Return where something about an artifact is: WORK, LOCKS or DAMAGED."""
        return self.root / purpose / f"{kind}-{key}"

    def _partial(self, kind: str, key: str) -> Path:
        return self.root / kind / f".partial-{key}-{distributed.rank()}"

    def _only_maker(self, kind: str, key: str) -> AbstractContextManager[None]:
        # The other processes of a distributed training wait for the main one.
        return self.lock(kind, key) if distributed.is_main() else nullcontext()

    def _publish(self, sealed: Path, kind: str, key: str) -> None:
        """Let a folder that is complete become the artifact; if there is another, that counts."""
        try:
            sealed.rename(self.folder(kind, key))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or damage(self.folder(kind, key)):
                raise
            remove_folders(sealed)

    @contextmanager
    def _published(self, kind: str, key: str) -> Iterator[Path]:
        """Give an empty folder to write to; it becomes the artifact if nothing is raised."""
        partial = self._partial(kind, key)
        # A maker that was killed may have left some.
        remove_folders(partial)
        partial.mkdir(parents=True)
        try:
            yield partial
            if distributed.is_main():
                self._publish(partial, kind, key)
            distributed.all_gather(None)
        finally:
            remove_folders(partial)
        if distributed.is_main():
            remove_folders(self.beside(WORK, kind, key))

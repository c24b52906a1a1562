"""A store at a URL, with a local copy on each machine that uses it.

Work folders are only local. What could not be published stays whole in the local folder
`unpublished`, and is published by the next command that would make it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

from bench.cache.artifact import damage, parse_manifest, remove_folders, size_of
from bench.cache.files import write_text
from bench.cache.lease import is_leased, leased, leased_if_free
from bench.cache.locks import locked, locked_if_free
from bench.cache.objects import Objects
from bench.cache.published import Published
from bench.cache.store import DAMAGED, LOCKS, UNPUBLISHED, USES, Store
from bench.errors import Missing, Unusable
from methods.core.models import distributed

# The environment variable that names the folder of this machine's copy.
COPY = "PREFRONTIER_CACHE_COPY"
HOLDER = "holder"
# Artifacts up to this size are fetched, and so read in full, when it is asked whether they exist
# (bytes). Of larger ones, only the sizes of their files are compared.
FETCHED_AT_ONCE = 2**24


@dataclass(frozen=True)
class RemoteStore(Store):
    """A store at a URL.

    Attributes:
        root: The local copy.
        url: Any URL that fsspec knows.
    """

    url: str

    @property
    def objects(self) -> Objects:
        """What is at the URL."""
        return Objects(self.url)

    @property
    def published(self) -> Published:
        """The artifacts at the URL."""
        return Published(self.objects)

    @property
    def address(self) -> str:
        return self.url

    def __reduce__(self) -> tuple[Callable[[str, Path], RemoteStore], tuple[str, Path]]:
        return _on_this_machine, (self.url, self.root)

    def check(self) -> None:
        # A wrong URL leaves no folder behind.
        self.objects.check()
        super().check()

    def problem(self) -> str:
        try:
            self.objects.check()
        except Unusable as error:
            return str(error)
        return super().problem()

    def has(self, kind: str, key: str) -> bool:
        if super().has(kind, key):
            return True
        if (text := self.published.text(kind, key)) is None:
            return False
        if found := self.published.damage(kind, key):
            self._set_aside_published(kind, key, found)
            return False
        return size_of(parse_manifest(text)) > FETCHED_AT_ONCE or self._fetch(kind, key)

    def need(self, kind: str, key: str) -> Path:
        if not super().has(kind, key) and not self._fetch(kind, key):
            raise Missing(f"{kind}/{key}")
        return self.folder(kind, key)

    def local(self, kind: str, key: str) -> Path:
        with suppress(Missing):
            return self.need(kind, key)
        return self.folder(kind, key)

    def drop(self, kind: str, key: str) -> bool:
        if is_leased(self.objects, self._lease(kind, key), self._holder):
            return False
        if not super().drop(kind, key):
            return False
        remove_folders(self.beside(UNPUBLISHED, kind, key))
        self.published.remove(kind, key)
        return True

    def verify(self, kind: str, key: str) -> str:
        here = super().verify(kind, key)
        there = self.published.damage(kind, key, full=True)
        if there:
            self._set_aside_published(kind, key, there, full=True)
        return there or here

    def names(self) -> Iterator[tuple[str, str]]:
        yield from sorted({*super().names(), *self.published.names()})

    def manifest(self, kind: str, key: str) -> dict[str, Any]:
        try:
            return super().manifest(kind, key)
        except OSError:
            if (text := self.published.text(kind, key)) is None:
                raise
            return parse_manifest(text)

    def write_record(self, name: str, content: bytes) -> None:
        self.objects.write(name, content)

    def records(self, folder: str) -> dict[str, bytes]:
        texts = {name: self.objects.read(name) for name in self.objects.sizes(folder)}
        return {name: text for name, text in texts.items() if text is not None}

    def remove_record(self, name: str) -> None:
        self.objects.remove(name)

    @contextmanager
    def in_use(self, name: str) -> Iterator[None]:
        with leased(self.objects, f"{LOCKS}/{name}-{uuid4().hex}", self._holder):
            yield

    def users(self) -> set[str]:
        names = {PurePosixPath(name).stem for name in self.objects.sizes(USES)}
        found = {x: PurePosixPath(x).name.rpartition("-")[0] for x in self.objects.sizes(LOCKS)}
        leases = {lease: name for lease, name in found.items() if name in names}
        return {name for lease, name in leases.items() if is_leased(self.objects, lease, "")}

    def clear(self, *, damaged: bool) -> None:
        leases = self.objects.sizes(LOCKS)
        held = {lease for lease in leases if is_leased(self.objects, lease, "")}
        self.objects.remove(*(leases.keys() - held))
        for kind, key, place in self.published.unnamed():
            if self._lease(kind, key) not in held:
                self.objects.remove(place)
        if damaged:
            self.objects.remove(DAMAGED)

    @cached_property
    def _holder(self) -> str:
        """The name of this local copy, under which it holds leases."""
        file = self.root / HOLDER
        self.root.mkdir(parents=True, exist_ok=True)
        with locked(self.root / LOCKS / HOLDER):
            # One that is empty was left by a process that was killed.
            if not file.exists() or not file.read_text():
                write_text(file, uuid4().hex)
        return file.read_text()

    def _lease(self, kind: str, key: str) -> str:
        return f"{LOCKS}/{kind}-{key}"

    def _only_maker(self, kind: str, key: str) -> AbstractContextManager[None]:
        return self._leased(kind, key) if distributed.is_main() else nullcontext()

    @contextmanager
    def _leased(self, kind: str, key: str) -> Iterator[None]:
        """Be the only maker on this machine, then of all; publish what was left unpublished."""

        def made() -> bool:
            there = self.published.text(kind, key) is not None
            return there and not self.published.damage(kind, key)

        with (
            self.lock(kind, key),
            leased(self.objects, self._lease(kind, key), self._holder, done=made),
        ):
            left = self.beside(UNPUBLISHED, kind, key)
            if left.exists() and damage(left):
                remove_folders(left)
            elif left.exists():
                self._upload(left, kind, key)
            yield

    def _publish(self, sealed: Path, kind: str, key: str) -> None:
        # From here on, nothing that was made is lost if the URL cannot be reached.
        place = self.beside(UNPUBLISHED, kind, key)
        remove_folders(place)
        place.parent.mkdir(exist_ok=True)
        sealed.rename(place)
        self._upload(place, kind, key)

    def _upload(self, whole: Path, kind: str, key: str) -> None:
        """Publish a folder, and let it become the local copy; if there is another, that counts."""
        # Others fetch it as soon as it is published.
        with self._fetching(kind, key):
            if self.published.publish(whole, kind, key):
                super()._publish(whole, kind, key)
            else:
                remove_folders(whole)
                self._fetch(kind, key)

    def _fetching(self, kind: str, key: str) -> AbstractContextManager[None]:
        """Return the lock of the local copy of an artifact at the URL."""
        return locked(self.beside(LOCKS, f"fetch-{kind}", key))

    def _fetch(self, kind: str, key: str) -> bool:
        """Fetch an artifact unless it is here; return whether it is, whole."""
        with self._fetching(kind, key):
            if super().has(kind, key):
                return True
            if self.published.text(kind, key) is None:
                return False
            # Once more where it is damaged: the fault may be one of the transfer.
            found = self._download(kind, key) and self._download(kind, key)
            if found:
                self._set_aside_published(kind, key, found, full=True)
            return not found

    def _download(self, kind: str, key: str) -> str:
        """Fetch an artifact; return what is wrong with it, "" if nothing is."""
        partial = self.root / kind / f".partial-{key}-fetched-{os.getpid()}"
        remove_folders(partial)
        partial.mkdir(parents=True)
        try:
            found = self.published.download(kind, key, partial)
            if not found:
                super()._publish(partial, kind, key)
        finally:
            remove_folders(partial)
        return found

    def _set_aside_published(self, kind: str, key: str, found: str, *, full: bool = False) -> None:
        """Set aside what is damaged at the URL, unless another process or machine makes it."""
        with locked_if_free(self.beside(LOCKS, kind, key)) as free:
            if not free:
                return
            with leased_if_free(self.objects, self._lease(kind, key), self._holder) as held:
                # It may have been made again since the damage was found.
                if held and self.published.damage(kind, key, full=full):
                    self.published.set_aside(kind, key, found)


def copy_of_environment() -> Path | None:
    """Return where this machine keeps its copy, if the environment says so."""
    folder = os.environ.get(COPY)
    return Path(folder).expanduser().absolute() if folder else None


def _on_this_machine(url: str, root: Path) -> RemoteStore:
    """Return a store that may have come from another machine, with this machine's copy."""
    return RemoteStore(copy_of_environment() or root, url)

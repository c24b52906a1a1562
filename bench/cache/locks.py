"""Locks between processes, on one machine or on several that share a folder."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock; wait for it if another process holds it.

    The system releases it when the process ends, however it ends. It works on NFS too, where Linux
    passes such locks on to the server. A process can take a lock that it holds once more.

    Args:
        file: The file that is locked; it is made and stays.
    """
    with _lock(file):
        yield


@contextmanager
def locked_if_free(file: Path) -> Iterator[bool]:
    """Hold a lock if no other process does; yield whether it is held."""
    lock = _lock(file)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def is_locked(file: Path) -> bool:
    """Return whether another process holds a lock."""
    try:
        with locked_if_free(file) as free:
            return not free
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
    # A cache that may only be read: this takes a lock that readers share, for a moment.
    with file.open("rb") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _lock(file: Path) -> FileLock:
    file.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(file, is_singleton=True)

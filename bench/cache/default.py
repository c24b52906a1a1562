"""The store that the environment names."""

from __future__ import annotations

import os
from pathlib import Path

from bench.cache.keys import short_hash
from bench.cache.remote import RemoteStore, copy_of_environment
from bench.cache.store import Store


def default_store() -> Store:
    """Return the store in PREFRONTIER_CACHE, a folder or a URL; by default .cache, in the cwd.

    The local copy of a store at a URL is in PREFRONTIER_CACHE_COPY, by default in the user's cache
    directory under a name that stands for the URL.
    """
    address = os.environ.get("PREFRONTIER_CACHE") or ".cache"
    protocol, separator, path = address.partition("://")
    if not separator:
        return Store(Path(address).expanduser().absolute())
    url = f"{protocol}://{path.rstrip('/')}"
    return RemoteStore(copy_of_environment() or _copy_of(url), url)


def _copy_of(url: str) -> Path:
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return caches / "prefrontier" / short_hash(url)

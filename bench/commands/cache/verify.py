"""`prefrontier cache verify`."""

from __future__ import annotations

import sys

from bench.cache.default import default_store


def verify_cache() -> int:
    """Read every artifact in full, and set damaged ones aside; the store says each in a line.

    Returns:
        The exit status: 1 if any artifact is damaged.

    Raises:
        UserError: The cache cannot be read.
    """
    from rich.console import Console
    from rich.progress import track

    store = default_store()
    names = list(store.names())
    # Lines about damage must not be drawn over.
    console = Console(file=sys.stderr)
    shown = track(names, "reading", console=console, disable=not sys.stderr.isatty())
    damaged = sum(bool(store.verify(*name)) for name in shown)
    print(
        f"{store.address}: {len(names)} artifacts, "
        + (f"{damaged} damaged; the next run makes them again" if damaged else "all are whole")
    )
    return 1 if damaged else 0

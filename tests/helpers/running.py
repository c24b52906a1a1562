"""Another process that runs an experiment, as far as the cache can tell."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.synchronize import Event

from bench.cache.store import Store
from bench.cache.uses import using


@contextmanager
def running(store: Store, experiment: str, artifacts: Sequence[str]) -> Iterator[None]:
    """Let another process run an experiment that refers to artifacts, until this ends."""
    context = multiprocessing.get_context("fork")
    ready, end = context.Event(), context.Event()
    process = context.Process(target=_run, args=(store, experiment, artifacts, ready, end))
    process.start()
    try:
        assert ready.wait(300)
        yield
    finally:
        end.set()
        process.join()


def _run(store: Store, experiment: str, artifacts: Sequence[str], ready: Event, end: Event) -> None:
    with using(store, experiment, f"prefrontier bench {experiment}", artifacts):
        ready.set()
        end.wait(900)

"""Which kind of world a task makes."""

from __future__ import annotations

from bench.pipeline.embedded import EmbeddedWorld
from bench.pipeline.recorded import RecordedWorld
from bench.pipeline.sentiment import SentimentWorld
from bench.pipeline.sources import find_sources, find_texts
from bench.pipeline.base import World
from bench.cache.store import Store
from bench.tasks.base import Embedded, Task
from bench.tasks.recorded import Recorded
from bench.tasks.sentiment import Sentiment


def make_world(task: Task, seed: int, device: str, store: Store, alias: str = "") -> World:
    """Return the world of a task at a seed. Raises UserError where its data are not to be had."""
    if isinstance(task, Recorded):
        return RecordedWorld(task, seed, device, store, alias, find_sources(task))
    if isinstance(task, Sentiment):
        return SentimentWorld(task, seed, device, store, alias, find_texts(task))
    assert isinstance(task, Embedded)
    return EmbeddedWorld(task, seed, device, store, alias)

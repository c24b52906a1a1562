"""Which kind of world a task makes."""

from __future__ import annotations

from bench.pipeline.recorded import RecordedWorld
from bench.pipeline.simulated import SimulatedWorld
from bench.pipeline.sources import find_sources
from bench.pipeline.world import World
from bench.store import Store
from bench.tasks.base import Simulated, Task
from bench.tasks.recorded import Recorded


def make_world(task: Task, seed: int, device: str, store: Store, alias: str = "") -> World:
    """Return the world of a task at a seed."""
    if isinstance(task, Recorded):
        return RecordedWorld(task, seed, device, store, alias, find_sources(task))
    assert isinstance(task, Simulated)
    return SimulatedWorld(task, seed, device, store, alias)

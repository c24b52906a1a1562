"""What scheduling costs: `PYTHONPATH=.:tests python -m helpers.overhead 10000`, or `1000 ray`."""

from __future__ import annotations

import resource
import sys
import time

from helpers.jobs import job, nothing

from bench.execution.executors.local import LocalExecutor
from bench.execution.executors.on_ray import RayExecutor
from bench.execution.executors.ray_cluster import connect
from bench.execution.scheduling.graph import Ended, Graph
from bench.execution.scheduling.job import Executor
from bench.execution.scheduling.scheduler import run_jobs


def overhead(executor: Executor, count: int) -> tuple[float, float]:
    """Return the seconds that so many jobs take, and by how much memory grew meanwhile (MiB)."""
    events = run_jobs(Graph([job(str(i), nothing) for i in range(count)]), executor)
    # Workers have been started, and have imported their libraries.
    while not isinstance(next(events), Ended):
        continue
    started, before = time.perf_counter(), peak_memory()
    ended = sum(isinstance(event, Ended) and event.outcome.status == "ok" for event in events)
    assert ended == count - 1
    return time.perf_counter() - started, peak_memory() - before


def peak_memory() -> float:
    """Return the most memory that this process has had so far (MiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if "ray" in sys.argv:
        connect("")
        executor: Executor = RayExecutor("cpu", most=4, disconnects=True)
    else:
        executor = LocalExecutor(2)
    seconds, growth = overhead(executor, int(sys.argv[1]))
    print(f"{sys.argv[1]} jobs: {seconds:.1f} s, {growth:.0f} MiB")

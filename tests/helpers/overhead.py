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

# The jobs are timed in so many parts.
PARTS = 10


def overhead(executor: Executor, count: int) -> tuple[float, float]:
    """Return the seconds that so many jobs take, and by how much memory grew meanwhile (MiB).

    The time is that of the fastest part: in others, processes may have waited for programs that
    have nothing to do with it. It is no less than what this process has computed for all of them.
    """
    events = run_jobs(Graph([job(str(i), nothing) for i in range(count)]), executor)
    # Workers have been started, and have imported their libraries.
    while not isinstance(next(events), Ended):
        continue
    computed, before = time.process_time(), peak_memory()
    ends = [time.perf_counter()]
    for event in events:
        if isinstance(event, Ended):
            assert event.outcome.status == "ok", event
            ends.append(time.perf_counter())
    assert len(ends) == count
    part = (count - 1) // PARTS
    fastest = min(end - start for start, end in zip(ends, ends[part:], strict=False))
    seconds = max(fastest / part * count, time.process_time() - computed)
    return seconds, peak_memory() - before


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

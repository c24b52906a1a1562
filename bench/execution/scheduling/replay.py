"""How long jobs take with any number of workers, found by going through their graph."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from bench.execution.scheduling.graph import Graph
from bench.execution.scheduling.job import Job, Outcome


def replayed_seconds(
    jobs: Sequence[Job],
    made: frozenset[str],
    workers: int,
    elapsed: Mapping[str, float] | None = None,
) -> float:
    """Return how long jobs take, each as long as was estimated.

    Args:
        jobs: All jobs.
        made: Artifacts that are there.
        workers: How many jobs run at once.
        elapsed: How long jobs have been running already, by name (s).
    """
    elapsed = elapsed or {}
    graph, now = Graph(jobs, made), 0.0
    running: list[tuple[float, int, Job]] = []
    started = 0
    while graph.unfinished:
        while graph.next is not None and len(running) < workers:
            job = graph.start()
            left = max(0.0, job.seconds - elapsed.get(job.name, 0.0))
            heapq.heappush(running, (now + left, started, job))
            started += 1
        now, _, job = heapq.heappop(running)
        for _ in graph.end(job, Outcome("ok")):
            pass
    return now


def longest_chain(jobs: Sequence[Job], made: frozenset[str]) -> list[Job]:
    """Return the jobs, one after another, that take longest whatever the number of workers.

    Args:
        jobs: All jobs, each after those that it waits for.
        made: Artifacts that are there.
    """
    left = [job for job in jobs if not made.issuperset(job.makes)]
    maker = {artifact: job for job in left for artifact in job.makes}
    ends: dict[str, float] = {}
    before: dict[str, Job | None] = {}
    for job in left:
        waits_for = [maker[name] for name in (*job.needs, *job.after) if name in maker]
        last = max(waits_for, key=lambda other: ends[other.name], default=None)
        before[job.name] = last
        ends[job.name] = job.seconds + (ends[last.name] if last else 0.0)
    chain: list[Job] = []
    job_or_none = max(left, key=lambda job: ends[job.name], default=None)
    while job_or_none is not None:
        chain.append(job_or_none)
        job_or_none = before[job_or_none.name]
    return chain[::-1]

"""The scheduler: it hands out jobs that are ready, and says how each ended."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

from bench.execution.scheduling.graph import Ended, Graph
from bench.execution.scheduling.job import Executor, Job


class Started(NamedTuple):
    """A job that is submitted next."""

    job: Job


class Stopped(Exception):
    """Nothing can go on until something is mended, such as a cache that cannot be written to."""


def run_jobs(graph: Graph, executor: Executor) -> Generator[Started | Ended]:
    """Run jobs; yield each when it is started and when it has ended.

    A job whose process died is started once more, with nothing beside it. Where an artifact that a
    job needs turns out to be missing or damaged, it is made again first.

    Args:
        graph: The jobs.
        executor: What runs them. It is stopped when the iteration ends, however it ends.

    Raises:
        Stopped: Nothing can go on, as where the cache cannot be written to.
        UserError: A job needs more than there is.
    """
    try:
        while graph.unfinished:
            while (job := graph.next) is not None:
                alone = graph.must_be_alone(job)
                if not executor.has_room(job, alone=alone):
                    break
                yield Started(graph.start())
                # The first start takes seconds, as a worker loads its libraries.
                executor.submit(job, alone=alone)
            for job, outcome in executor.as_completed():
                if outcome.status == "stopped":
                    raise Stopped(outcome.error)
                yield from graph.end(job, outcome)
    finally:
        executor.stop()

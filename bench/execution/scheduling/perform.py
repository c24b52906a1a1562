"""Doing a job's work in the process at hand, and telling its failures apart."""

from __future__ import annotations

import time

from bench.errors import Missing, Unusable
from bench.execution.scheduling.failures import (
    error_text,
    is_disk_full,
    is_out_of_memory,
    one_line,
)
from bench.execution.scheduling.job import Job, Outcome
from methods.base import Diverged


def perform(job: Job) -> Outcome:
    """Do the work of a job; return how it ended and how long it took."""
    started = time.perf_counter()
    try:
        job.work(job.argument)
        outcome = Outcome("ok")
    except Diverged as problem:
        outcome = Outcome("diverged", one_line(str(problem)))
    except Missing as problem:
        outcome = Outcome("missing", problem.artifact)
    except (Exception, SystemExit) as problem:  # one failure never takes the others down
        outcome = _failure(job, problem)
    return outcome._replace(seconds=time.perf_counter() - started)


def _failure(job: Job, problem: BaseException) -> Outcome:
    # Libraries wrap what the system says: the cache itself tells whether it can be written to.
    if job.store is not None and (reason := job.store.problem()):
        return Outcome("stopped", reason)
    if isinstance(problem, Unusable):
        return Outcome("stopped", str(problem))
    # What failed has freed what it had written, so that a little can be written again.
    if is_disk_full(problem):
        return Outcome("stopped", error_text(problem))
    return Outcome("died" if is_out_of_memory(problem) else "failed", error_text(problem))

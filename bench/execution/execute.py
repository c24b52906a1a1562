"""Running the jobs of an experiment, and what becomes of each run."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, closing
from typing import Protocol

from bench.execution.estimates import Schedule
from bench.execution.jobs import Pool
from bench.execution.run import Run
from bench.execution.scheduling.graph import Ended, Graph
from bench.execution.scheduling.job import Executor, Job
from bench.execution.scheduling.scheduler import Started, run_jobs
from methods.core.models import distributed

# Status and error of each run that is not ok, by its key.
Problems = dict[str, tuple[str, str]]


class Watcher(Protocol):
    """Follows the jobs while they run. It may not raise."""

    def start(self, job: Job) -> None:
        """Take note that a job was started."""

    def end(self, ended: Ended) -> None:
        """Take note of how a job ended."""

    def stop(self) -> None:
        """Take note that nothing more happens: all is done, or the run was interrupted."""


def execute(
    schedule: Schedule, executor: Executor, *watchers: Watcher, keeps_policies: bool = True
) -> Problems:
    """Make what is missing; return status and error of each run that is not ok, by its key.

    Args:
        schedule: The jobs.
        executor: What runs them.
        *watchers: Those who follow what happens. Each is stopped, however the run ends.
        keeps_policies: Whether policies are needed once they are measured and pooled.

    Raises:
        Stopped: The cache cannot be written to.
        UserError: A job needs more than there is.
    """
    problems: Problems = {}
    waiting = {job.name: job for job in schedule.left()}
    resumed: set[str] = set()
    with ExitStack() as stack:
        for watcher in watchers:
            stack.callback(watcher.stop)
        events = stack.enter_context(
            closing(run_jobs(Graph(schedule.jobs, schedule.made), executor))
        )
        for event in events:
            if isinstance(event, Started):
                if _is_begun(event.job):
                    resumed.add(event.job.name)
                for watcher in watchers:
                    watcher.start(event.job)
                continue
            job, outcome = event
            waiting.pop(job.name, None)
            went_well = outcome.status == "ok"
            if went_well and job.name not in resumed and distributed.is_main():
                schedule.durations.add(job, outcome.seconds)
            for watcher in watchers:
                watcher.end(event)
            if not went_well and isinstance(job.argument, Run):
                problems[job.argument.key] = (outcome.status, outcome.error)
            if went_well and distributed.is_main() and not keeps_policies:
                _drop_policies(job, waiting.values())
    if distributed.is_main():
        schedule.durations.save()
    return problems


def _is_begun(job: Job) -> bool:
    """Return whether some of a job has been done before: the rest does not tell how long all takes.

    A policy may have been trained and not yet measured, or measured in another way.
    """
    if job.store is None:
        return False
    if isinstance(job.argument, Run) and job.argument.trained():
        return True
    return any(job.store.unfinished(*name.split("/")).exists() for name in job.makes)


def _drop_policies(job: Job, waiting: Iterable[Job]) -> None:
    """Remove the policies that a job used last."""
    needed = {run.train_key for other in waiting for run in _runs_of(other)}
    for run in _runs_of(job):
        if run.train_key not in needed:
            run.drop_policy()


def _runs_of(job: Job) -> tuple[Run, ...]:
    """Return the runs whose policies a job uses."""
    if isinstance(job.argument, Run):
        return (job.argument,)
    return job.argument.runs if isinstance(job.argument, Pool) else ()

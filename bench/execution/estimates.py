"""Jobs with estimates of their time and memory, from past ones or from the models' sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from bench.execution.jobs import Pool, jobs_of, made_already
from bench.execution.plan import Work
from bench.execution.run import Run
from bench.execution.scheduling.durations import Durations
from bench.execution.scheduling.job import Job
from bench.requirements.estimate import Estimate
from bench.requirements.work import Need

# What stages are called in `bench.requirements`.
STAGE_NEEDS = {
    "judge stage": "judge",
    "sft stage": "SFT policy",
    "reward_model stage": "reward model",
    "reference samples": "reference samples",
}
# A job that takes so many times what is estimated has hung, but never before so many seconds: where
# equal jobs have been done, where the model's size tells, and where the time is guessed.
KNOWN_LIMIT, SIZED_LIMIT, GUESSED_LIMIT = (10, 3600.0), (20, 21_600.0), (50, 86_400.0)


class Schedule(NamedTuple):
    """Jobs, and what is known of them beforehand.

    Attributes:
        jobs: All jobs, with estimates.
        made: Artifacts that are there.
        durations: Those of past jobs.
        needs: What jobs of large models take.
    """

    jobs: list[Job]
    made: frozenset[str]
    durations: Durations
    needs: Needs

    @classmethod
    def of(cls, *works: Work, machine: str, needs: Needs | None = None) -> Schedule:
        """Return the jobs of some work.

        Args:
            *works: Pipelines and runs, at least one. What several need is made once.
            machine: What will run the jobs: durations elsewhere say less.
            needs: What jobs of large models take.
        """
        durations = Durations.load(works[0].pipelines[0].store, machine)
        needs = needs or Needs.of([])
        jobs = with_estimates(jobs_of(*works), durations, needs)
        return cls(jobs, made_already(jobs), durations, needs)

    def left(self) -> list[Job]:
        """Return the jobs that have yet to be done."""
        return [job for job in self.jobs if not self.made.issuperset(job.makes)]

    def estimated_anew(self, made: frozenset[str] = frozenset()) -> list[Job]:
        """Return all jobs, estimated with what those that have ended meanwhile took.

        Args:
            made: Artifacts that are there: what makes them alone needs no estimate.
        """
        return [
            job if made.issuperset(job.makes) else _estimated(job, self.durations, self.needs)
            for job in self.jobs
        ]


class Needs(NamedTuple):
    """What the jobs of large models take.

    Attributes:
        by_job: By the task's name and what the job is.
        large: Tasks with large models.
        forced: Whether jobs run even if they do not seem to fit: each has a device to itself.
    """

    by_job: Mapping[tuple[str, str], Need]
    large: frozenset[str]
    forced: bool = False

    @classmethod
    def of(
        cls, estimates: Sequence[Estimate], large: Sequence[str] = (), *, forced: bool = False
    ) -> Needs:
        """Return the needs of all estimates.

        Args:
            estimates: Of tasks with large models.
            large: Names of tasks with large models, those without an estimate included.
            forced: Whether jobs run even if they do not seem to fit.
        """
        by_job = {(each.name, need.name): need for each in estimates for need in each.needs}
        return cls(by_job, frozenset(large), forced)


def with_estimates(jobs: Sequence[Job], durations: Durations, needs: Needs) -> list[Job]:
    """Return jobs with their time, memory and limit; the runs of a pipeline by time, longest first.

    So the last to end is a short one.

    Args:
        jobs: In the order of the plan.
        durations: Those of past jobs.
        needs: What jobs of large models take.
    """
    estimated = [_estimated(job, durations, needs) for job in jobs]
    ordered: list[Job] = []
    for is_run, group in groupby(estimated, key=lambda job: isinstance(job.argument, Run)):
        some = list(group)
        ordered += sorted(some, key=lambda job: -job.seconds) if is_run else some
    return ordered


def _estimated(job: Job, durations: Durations, needs: Needs) -> Job:
    task = job.label.partition(" ")[0]
    what = job.argument.label if isinstance(job.argument, Run) else job.kind
    what = STAGE_NEEDS.get(what, what.removeprefix(f"{task} "))
    past, need = durations.estimate(job), needs.by_job.get((task, what))
    # A pool trains policies anew that were dropped: how long another took says nothing.
    if past.known and not isinstance(job.argument, Pool):
        seconds, (factor, least) = past.seconds, KNOWN_LIMIT
    elif need:
        seconds, (factor, least) = need.seconds, SIZED_LIMIT
    else:
        seconds, (factor, least) = past.seconds, GUESSED_LIMIT
    # Of a large model whose needs are not known, nothing else may be on the device.
    known = need and not needs.forced
    memory = need.memory.total if need and known else math.inf if task in needs.large else 0.0
    return replace(job, seconds=seconds, memory=memory, limit=max(least, factor * seconds))

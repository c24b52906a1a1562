"""The jobs that are left to do, and their order: shared stages, runs, pooled samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from bench.evaluation.pooled_samples import PooledSamples
from bench.evaluation.reference_samples import ReferenceSamples
from bench.execution.executors import DistributedExecutor, Job, LocalExecutor, Outcome
from bench.execution.failures import error_text
from bench.execution.memory import release_memory
from bench.execution.plan import Work
from bench.execution.progress import Progress
from bench.execution.run import Run, attempt
from bench.pipeline.base import Pipeline
from methods.core.models import distributed

# Status and error of each run that is not ok, by its key.
Problems = dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Preparation:
    """All stages of a pipeline and its reference samples, made in one job."""

    pipeline: Pipeline
    reference_samples: ReferenceSamples


def _prepare(job: Preparation) -> tuple[str, str, float]:
    make = job.pipeline.make
    steps: dict[str, Callable[[], None]] = {s: partial(make, s) for s in job.pipeline.stages}
    return _timed(steps | {"reference_samples": job.reference_samples.make})


def _pool(samples: PooledSamples) -> tuple[str, str, float]:
    return _timed({"pooled_samples": samples.make})


def _timed(steps: Mapping[str, Callable[[], None]]) -> tuple[str, str, float]:
    """Take steps in order; return status, error with the name of the step, and seconds."""
    started, status, error = time.perf_counter(), "ok", ""
    for name, step in steps.items():
        try:
            step()
        except Exception as problem:  # the other pipelines go on
            status, error = "failed", f"{name}: {error_text(problem)}"
            break
    release_memory()
    return status, error, time.perf_counter() - started


def execute(
    work: Work, executor: LocalExecutor | DistributedExecutor, progress: Progress
) -> Problems:
    """Make what is missing; return status and error of each run that is not ok, by its key."""
    schedule = Schedule(work, progress)
    executor.run(schedule.first())
    progress.stop()
    return schedule.problems


def first_missing(pipeline: Pipeline, reference_samples: ReferenceSamples) -> str:
    """Return the key of the first artifact that is made when a pipeline is prepared."""
    return next((pipeline.key(stage) for stage in pipeline.missing()), reference_samples.key)


class Schedule:
    """The jobs of a `Work`: a pipeline's stages, then its runs, then its pooled samples.

    Attributes:
        problems: Status and error of each run that is not ok, by its key.
    """

    def __init__(self, work: Work, progress: Progress) -> None:
        self.work, self.progress = work, progress
        self.problems: Problems = {}
        self.unready = work.unready()
        # One task under several names shares its first stages: one pipeline makes them for all.
        sharing: dict[str, list[Pipeline]] = {}
        for pipeline in self.unready:
            first = first_missing(pipeline, work.reference_samples[pipeline])
            sharing.setdefault(first, []).append(pipeline)
        self.waiting = {first: others for first, *others in sharing.values()}
        self.left: dict[Pipeline, list[Run]] = {pipeline: [] for pipeline in work.pipelines}
        for run in work.unfinished():
            self.left[run.pipeline].append(run)
        # Pipelines whose samples may yet be pooled with those of trained policies.
        self.poolable = {p for p, s in work.reference_samples.items() if s.can_be_pooled}

    def first(self) -> list[Job]:
        """Return the jobs that depend on no other job."""
        runs = [run.name for left in self.left.values() for run in left]
        self.progress.start(len(self.unready), runs)
        jobs = [self._preparation(pipeline) for pipeline in self.waiting]
        for pipeline in self.work.pipelines:
            if pipeline not in self.unready:
                jobs += self._runs(pipeline)
        self._expect_pools()
        return jobs

    def _preparation(self, pipeline: Pipeline) -> Job:
        preparation = Preparation(pipeline, self.work.reference_samples[pipeline])
        return Job(_prepare, preparation, partial(self._after_preparation, pipeline))

    def _after_preparation(self, pipeline: Pipeline, outcome: Outcome) -> list[Job]:
        label = f"{pipeline.name} shared stages, seed {pipeline.seed}"
        self.progress.advance("shared stages", label, *outcome)
        if outcome.status != "ok":
            for run in self.left[pipeline]:
                self.problems[run.key] = ("failed", f"shared stage {outcome.error}")
                self.progress.expect(run.name, self.progress.left[run.name] - 1)
            self.left[pipeline] = []
        others = [self._preparation(other) for other in self.waiting.get(pipeline, [])]
        return others + self._runs(pipeline)

    def _runs(self, pipeline: Pipeline) -> list[Job]:
        """Return the runs on a pipeline that is ready, or its pool where none is left."""
        runs = [Job(attempt, run, partial(self._after_run, run)) for run in self.left[pipeline]]
        return runs or self._pooling(pipeline)

    def _after_run(self, run: Run, outcome: Outcome) -> list[Job]:
        label = f"{run.label}, seed {run.pipeline.seed}"
        self.progress.advance(run.name, label, *outcome)
        if outcome.status != "ok":
            self.problems[run.key] = (outcome.status, outcome.error)
        self.left[run.pipeline].remove(run)
        if outcome.status == "ok" and not self.work.keeps_policies:
            self._drop(run)
        return [] if self.left[run.pipeline] else self._pooling(run.pipeline)

    def _drop(self, run: Run) -> None:
        """Remove a measured policy, unless a pool may sample it or another run measures it."""
        waiting = {other.train_key for runs in self.left.values() for other in runs}
        may_go = run.pipeline not in self.poolable and run.train_key not in waiting
        if may_go and distributed.is_main():
            run.drop_policy()

    def _pooling(self, pipeline: Pipeline) -> list[Job]:
        pool = self.work.pooled_samples(pipeline)
        if pool is not None and not pool.exists():
            if dropped := self._dropped(pipeline):
                self.left[pipeline] = dropped
                for run in dropped:
                    self.progress.expect(run.name, self.progress.left[run.name] + 1)
                return self._runs(pipeline)
            return [Job(_pool, pool, partial(self._after_pooling, pipeline))]
        self.poolable.discard(pipeline)
        self._expect_pools()
        return []

    def _dropped(self, pipeline: Pipeline) -> list[Run]:
        """Return the runs that must be trained again, because their policies are to be sampled."""
        runs = self.work.pooled_runs(pipeline)
        return [run for run in runs if not run.trained() and run.key not in self.problems]

    def _after_pooling(self, pipeline: Pipeline, outcome: Outcome) -> list[Job]:
        # Without it the frontier is what the reference's samples give: no run fails by this.
        self.poolable.discard(pipeline)
        label = f"{pipeline.name} optimal frontier, seed {pipeline.seed}"
        self.progress.advance("optimal frontier", label, *outcome)
        return []

    def _expect_pools(self) -> None:
        self.progress.expect("optimal frontier", len(self.poolable))

"""From what an experiment asks for to its jobs: shared stages, runs, pooled samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from bench.cache.keys import digest
from bench.evaluation.reference_samples import KIND as REFERENCE_SAMPLES
from bench.evaluation.reference_samples import ReferenceSamples
from bench.execution.plan import Work, pooled_among
from bench.execution.run import METRICS, POLICY, Run
from bench.execution.scheduling.job import Job
from bench.pipeline.base import Pipeline
from methods.core.models import distributed

# Kinds of jobs besides the stages and the methods.
FRONTIER = "optimal frontier"


@dataclass(frozen=True)
class StageWork:
    """A stage of a pipeline."""

    pipeline: Pipeline
    stage: str


@dataclass(frozen=True)
class Pool:
    """The samples that are pooled once all runs of a pipeline have ended.

    Attributes:
        reference_samples: Those of the pipeline.
        runs: All runs of the pipeline.
    """

    reference_samples: ReferenceSamples
    runs: tuple[Run, ...]

    @property
    def name(self) -> str:
        """The name of what is made. Its key is known only when all runs have ended."""
        runs = [run.key for run in self.runs]
        return f"pool/{digest(reference_samples=self.reference_samples.key, runs=runs)}"


def make_stage(work: StageWork) -> None:
    """Make a stage of a pipeline."""
    work.pipeline.make(work.stage)


def make_reference_samples(samples: ReferenceSamples) -> None:
    """Make the reference samples of a pipeline."""
    samples.make()


def execute_run(run: Run) -> None:
    """Train and measure a policy."""
    run.execute()


def train_run(run: Run) -> None:
    """Train a policy, be it measured or not."""
    run.train()


def make_pool(pool: Pool) -> None:
    """Pool samples with those of the policies that moved furthest; train again what was dropped."""
    samples, moved = pooled_among(pool.reference_samples, pool.runs)
    if samples is None or distributed.broadcast(samples.exists()):
        return
    with ExitStack() as stack:
        for run in moved:
            run.train()
            stack.enter_context(run.reading_policy())
        samples.make()


def artifact(kind: str, key: str) -> str:
    """Return the name of an artifact, as jobs name what they make and need."""
    return f"{kind}/{key}"


def jobs_of(*works: Work) -> list[Job]:
    """Return all jobs, those whose artifacts exist included, in the order of the plan.

    A shared stage of several pipelines is one job. Within a pipeline, the stages come first.
    """
    jobs: dict[str, Job] = {}
    made: set[str] = set()
    for work in works:
        for job in _all_jobs(work):
            new = tuple(name for name in job.makes if name not in made)
            if not new:
                continue
            # Of two runs that share a training, the second waits for the first.
            shared = tuple(name for name in job.makes if name in made)
            made |= {*new}
            jobs[new[0]] = replace(job, makes=new, needs=(*job.needs, *shared))
    return list(jobs.values())


def _all_jobs(work: Work) -> Iterator[Job]:
    """Yield the jobs of each pipeline, those included that other pipelines have too."""
    for pipeline, samples in work.reference_samples.items():
        runs = [run for run in work.runs if run.pipeline == pipeline]
        yield from (*_preparation(pipeline, samples), *map(run_job, runs), *_pool(samples, runs))


def _preparation(pipeline: Pipeline, samples: ReferenceSamples) -> Iterator[Job]:
    names = {stage: artifact(stage, pipeline.key(stage)) for stage in pipeline.stages}

    def job(kind: str, name: str, do: Callable[[Any], object], what: Any, *needs: str) -> Job:
        return Job(
            makes=(name,),
            work=do,
            argument=what,
            needs=needs,
            kind=kind,
            label=f"{pipeline.name} {kind}, seed {pipeline.seed}",
            estimate_key=f"{pipeline.name} {kind} {digest(task=pipeline.task.at_any_seed())}",
            store=pipeline.store,
        )

    for stage in pipeline.stages:
        # A stage may read whatever the stages before it have read.
        before = [names[earlier] for earlier in _earlier(pipeline, stage)]
        work = StageWork(pipeline, stage)
        yield job(f"{stage} stage", names[stage], make_stage, work, *before)
    name = artifact(REFERENCE_SAMPLES, samples.key)
    yield job("reference samples", name, make_reference_samples, samples, *names.values())


def _earlier(pipeline: Pipeline, stage: str) -> list[str]:
    """Return all stages that a stage comes after, directly or not, in the order of the pipeline."""
    after = pipeline.stages[stage].after
    before = {*after}.union(*(_earlier(pipeline, earlier) for earlier in after))
    return [name for name in pipeline.stages if name in before]


def run_job(run: Run) -> Job:
    """Return the job that trains and measures a policy."""
    pipeline = run.pipeline
    stages = [artifact(stage, pipeline.key(stage)) for stage in pipeline.stages]
    return Job(
        makes=(artifact(METRICS, run.key), artifact(POLICY, run.train_key)),
        work=execute_run,
        argument=run,
        needs=(*stages, artifact(REFERENCE_SAMPLES, run.reference_samples.key)),
        kind=run.name,
        label=f"{run.label}, seed {pipeline.seed}",
        estimate_key=f"{run.label} {digest(task=pipeline.task.at_any_seed(), settings=run.method)}",
        isolated=True,
        store=pipeline.store,
    )


def _pool(samples: ReferenceSamples, runs: Sequence[Run]) -> Iterator[Job]:
    if not samples.can_be_pooled:
        return
    pool = Pool(samples, tuple(runs))
    pipeline = samples.pipeline
    yield Job(
        makes=(pool.name,),
        work=make_pool,
        argument=pool,
        needs=(artifact(REFERENCE_SAMPLES, samples.key),),
        after=tuple(artifact(METRICS, run.key) for run in runs),
        kind=FRONTIER,
        label=f"{pipeline.name} {FRONTIER}, seed {pipeline.seed}",
        estimate_key=f"{pipeline.name} {FRONTIER} {digest(task=pipeline.task.at_any_seed())}",
        isolated=True,
        store=pipeline.store,
    )


def artifacts_of(jobs: Sequence[Job]) -> list[str]:
    """Return what the jobs make, by name, without pools (see `Work.hold_pools`)."""
    return [name for job in jobs if not isinstance(job.argument, Pool) for name in job.makes]


def made_already(jobs: Sequence[Job]) -> frozenset[str]:
    """Return what the jobs make that is in the cache and whole, by name.

    A run that has been measured needs no policy, unless its policy is to be pooled.
    """
    made: set[str] = set()
    for job in jobs:
        argument = job.argument
        if isinstance(argument, StageWork):
            pipeline, stage = argument.pipeline, argument.stage
            there = pipeline.store.has(stage, pipeline.key(stage))
        elif isinstance(argument, ReferenceSamples):
            there = argument.exists()
        elif isinstance(argument, Run):
            there = argument.finished()
        else:
            there = _is_pooled(argument)
        if there:
            made |= {*job.makes}
    return frozenset(made)


def _is_pooled(pool: Pool) -> bool:
    if not all(run.finished() for run in pool.runs):
        return False
    samples, _ = pooled_among(pool.reference_samples, pool.runs)
    return samples is None or samples.exists()

"""Runs the plan: shared stages first, then every run, in parallel; then writes the results."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from bench.evaluation.limit import Basis
from bench.evaluation.mixture import Mixture
from bench.evaluation.ruler import Ruler
from bench.experiment import Experiment
from bench.pipeline.world import STAGES, World
from bench.progress import Progress
from bench.runs import Run, attempt, furthest
from bench.store import Store

# Every step of a training takes and frees large blocks. glibc gives them back to the system each
# time, which must clear them again: a fifth of a small model's time. Workers keep them.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(2**26),
}

Job = TypeVar("Job")
Outcome = tuple[str, str, float]


@dataclass
class Work:
    """Worlds, each with its ruler, and the runs on them."""

    worlds: list[World]
    rulers: dict[World, Ruler]
    runs: list[Run]

    def unready(self) -> list[World]:
        """Return the worlds of which a stage or the ruler is missing."""
        return [w for w in self.worlds if w.missing() or not self.rulers[w].exists()]

    def unfinished(self) -> list[Run]:
        return [run for run in self.runs if not run.finished()]

    def mixture(self, world: World) -> Mixture | None:
        """Return the mixture that may carry a world's limit further, from the runs done so far.

        None where all responses are listed, or no policy moved that could be sampled.
        """
        ruler = self.rulers[world]
        if not ruler.can_be_extended:
            return None
        done = [r for r in self.runs if r.world == world and r.finished()]
        moved = furthest(done, ruler.limit_policies)
        return Mixture(ruler, tuple(run.folder for run in moved)) if moved else None

    def basis(self, world: World) -> Basis | None:
        """Return what the limit of a world rests on: whatever reaches further. None without any."""
        if not self.rulers[world].exists():
            return None
        mixture, alone = self.mixture(world), self.rulers[world].basis
        if mixture is None or not mixture.exists():
            return alone
        return max(mixture.basis, alone, key=lambda basis: basis.limit.largest_kl)


@dataclass
class Plan(Work):
    """All that an experiment asks for on a device. cached: runs that were done before."""

    experiment: Experiment
    device: str
    cached: int

    @classmethod
    def of(cls, experiment: Experiment, store: Store, device: str) -> Plan:
        """Lay out worlds and runs, seeds outermost within a task."""
        evaluation = experiment.evaluation
        worlds: list[World] = []
        rulers: dict[World, Ruler] = {}
        runs: list[Run] = []
        for name, task in experiment.worlds.items():
            settings = list(experiment.settings(name))
            for seed in range(experiment.seeds):
                world = World(task, seed, device, store, alias=name)
                worlds.append(world)
                ruler = Ruler(
                    world,
                    experiment.law(task),
                    evaluation.limit_samples,
                    evaluation.limit_policies,
                )
                rulers[world] = ruler
                for method_name, method, params in settings:
                    runs.append(
                        Run(
                            name=method_name,
                            method=method,
                            params=tuple(params.items()),
                            world=world,
                            ruler=ruler,
                            budget=experiment.budget,
                            per_prompt=evaluation.responses_per_prompt,
                            temperatures=tuple(evaluation.temperatures),
                            checkpoints=evaluation.checkpoints,
                        )
                    )
        cached = sum(run.finished() for run in runs)
        return cls(worlds, rulers, runs, experiment, device, cached)

    def lines(self) -> Iterator[str]:
        """Yield the plan in words, a line for each task."""
        for name in self.experiment.worlds:
            worlds = [w for w in self.worlds if w.name == name]
            runs = [r for r in self.runs if r.world.name == name]
            stages = len(worlds) * (len(STAGES) + 1)
            to_make = sum(len(w.missing()) + (not self.rulers[w].exists()) for w in worlds)
            trained = sum(run.trained() for run in runs)
            to_run = sum(not run.finished() for run in runs)
            methods = ", ".join(dict.fromkeys(run.name for run in runs))
            yield (
                f"{name}: {len(worlds)} seeds of {methods}; "
                f"shared stages: {stages - to_make} cached, {to_make} to make; "
                f"runs: {len(runs) - to_run} cached, {to_run} to do"
                + (f" ({trained - len(runs) + to_run} of them trained)" if to_run else "")
            )


@dataclass(frozen=True)
class Workers:
    """How many processes work side by side, and with how many threads each."""

    jobs: int
    threads: int = 1

    def each(
        self, work: Callable[[Job], Outcome], jobs: Sequence[Job]
    ) -> Iterator[tuple[Job, Outcome]]:
        """Yield each job with its outcome, as they finish. A worker's death fails its job only."""
        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import BrokenProcessPool

        os.environ |= KEEP_MEMORY | dict(os.environ)
        done: set[int] = set()
        # With one job joblib would start no process, and a crash would end everything. So there
        # are always two, of which one waits if only one job is wanted.
        pool = Parallel(
            max(2, self.jobs),
            backend="loky",
            return_as="generator_unordered",
            pre_dispatch=1 if self.jobs == 1 else "2 * n_jobs",
            batch_size=1,
        )
        try:
            calls = (delayed(_call)(self.threads, work, i, job) for i, job in enumerate(jobs))
            for i, outcome in pool(calls):
                done.add(i)
                yield jobs[i], outcome
        except BrokenProcessPool:
            # Which job killed its worker is not known: each that is left gets one of its own.
            for i in sorted(set(range(len(jobs))) - done):
                try:
                    alone = Parallel(2, backend="loky")
                    [(_, outcome)] = alone([delayed(_call)(self.threads, work, i, jobs[i])])
                except BrokenProcessPool as error:
                    outcome = ("failed", f"worker died: {' '.join(str(error).split())[:200]}", 0.0)
                yield jobs[i], outcome


def _call(
    threads: int, work: Callable[[Job], Outcome], number: int, job: Job
) -> tuple[int, Outcome]:
    quiet()
    import torch

    torch.set_num_threads(threads)
    outcome = work(job)
    _freeze()
    return number, outcome


@cache
def _freeze() -> None:
    """Keep what the libraries hold for good out of garbage collection, once in each process.

    Every trainer forces a collection when it ends, which can take longer than a small training.
    """
    gc.collect()
    gc.freeze()


def quiet() -> None:
    """Turn off the libraries' progress bars, warnings and downloads."""
    import warnings

    os.environ |= {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.simplefilter("ignore")
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


@dataclass(frozen=True)
class _Preparation:
    """A world and its ruler, made ready in one job."""

    world: World
    ruler: Ruler


def _prepare(job: _Preparation) -> Outcome:
    return _timed(job.world.prepare, job.ruler.make)


def _extend(mixture: Mixture) -> Outcome:
    return _timed(mixture.make)


def _timed(*steps: Callable[[], None]) -> Outcome:
    started = time.perf_counter()
    try:
        for step in steps:
            step()
        status, error = "ok", ""
    except Exception as problem:  # the other worlds go on
        status, error = "failed", " ".join(f"{type(problem).__name__}: {problem}".split())[:500]
    return status, error, time.perf_counter() - started


def execute(work: Work, workers: Workers, progress: Progress) -> dict[str, tuple[str, str]]:
    """Make what is missing; return status and error of each run that is not ok, by its key."""
    problems: dict[str, tuple[str, str]] = {}
    broken: dict[World, str] = {}
    unready = [_Preparation(world, work.rulers[world]) for world in work.unready()]
    progress.start(len(unready), [run.name for run in work.unfinished()])
    expected = {run.world for run in work.unfinished() if work.rulers[run.world].can_be_extended}
    progress.expect("limit", len(expected))
    for job, (status, error, seconds) in workers.each(_prepare, unready):
        label = f"{job.world.name} shared stages, seed {job.world.seed}"
        progress.advance("shared stages", label, status, error, seconds)
        if status != "ok":
            broken[job.world] = f"shared stage: {error}"
    ready = []
    for run in work.unfinished():
        if run.world in broken:
            problems[run.key] = ("failed", broken[run.world])
        else:
            ready.append(run)
    for run, (status, error, seconds) in workers.each(attempt, ready):
        progress.advance(run.name, f"{run.label}, seed {run.world.seed}", status, error, seconds)
        if status != "ok":
            problems[run.key] = (status, error)
    # Without them the limits are what the reference's samples give: no run fails by this.
    mixtures = [mixture for world in work.worlds if (mixture := work.mixture(world))]
    missing = [mixture for mixture in mixtures if not mixture.exists()]
    progress.expect("limit", len(missing))
    for mixture, (status, error, seconds) in workers.each(_extend, missing):
        world = mixture.ruler.world
        progress.advance("limit", f"{world.name} limit, seed {world.seed}", status, error, seconds)
    progress.stop()
    return problems


def default_jobs(device: str) -> int:
    """Return as many workers as the machine has cores for on a CPU, and one on a GPU."""
    if device != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_store() -> Store:
    """Return the cache: PREFRONTIER_CACHE, or .cache in the working directory."""
    return Store(Path(os.environ.get("PREFRONTIER_CACHE") or ".cache").absolute())

"""Runs the plan, in parallel: of each world the shared stages, then its runs, then its limit."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench.evaluation.frontier import Basis
from bench.evaluation.pooled_samples import Mixture
from bench.evaluation.reference_samples import Ruler
from bench.config.experiment import Experiment
from bench.pipeline.base import World
from bench.pipeline.registry import make_world
from bench.execution.progress import Progress
from bench.execution.run import Run, attempt, furthest
from bench.cache.store import Store
from bench.execution.executors import Job, Outcome, Together, Workers


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
            first = make_world(task, 0, device, store, alias=name)
            for seed in range(experiment.seeds):
                world = replace(first, seed=seed)
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
            stages = sum(len(w.stages) + 1 for w in worlds)
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
class _Preparation:
    """A world and its ruler, made ready in one job."""

    world: World
    ruler: Ruler


def _prepare(job: _Preparation) -> tuple[str, str, float]:
    return _timed(job.world.prepare, job.ruler.make)


def _extend(mixture: Mixture) -> tuple[str, str, float]:
    return _timed(mixture.make)


def _timed(*steps: Callable[[], None]) -> tuple[str, str, float]:
    started = time.perf_counter()
    try:
        for step in steps:
            step()
        status, error = "ok", ""
    except Exception as problem:  # the other worlds go on
        status, error = "failed", " ".join(f"{type(problem).__name__}: {problem}".split())[:500]
    return status, error, time.perf_counter() - started


def execute(
    work: Work, workers: Workers | Together, progress: Progress
) -> dict[str, tuple[str, str]]:
    """Make what is missing; return status and error of each run that is not ok, by its key."""
    execution = Execution(work, progress)
    workers.run(execution.first())
    progress.stop()
    return execution.problems


def first_missing(world: World, ruler: Ruler) -> str:
    """Return the hash of what is made first when a world is prepared."""
    return next((world.key(stage) for stage in world.missing()), ruler.key)


class Execution:
    """What is left to do of a work, and what follows what: a world's stages, its runs, its limit.

    problems: status and error of each run that is not ok, by its key.
    """

    def __init__(self, work: Work, progress: Progress) -> None:
        self.work, self.progress = work, progress
        self.problems: dict[str, tuple[str, str]] = {}
        self.unready = work.unready()
        # One task under several names shares its first stages: one world makes them for the others.
        sharing: dict[str, list[World]] = {}
        for world in self.unready:
            sharing.setdefault(first_missing(world, work.rulers[world]), []).append(world)
        self.waiting = {first: others for first, *others in sharing.values()}
        self.left: dict[World, list[Run]] = {world: [] for world in work.worlds}
        for run in work.unfinished():
            self.left[run.world].append(run)
        # Worlds that may yet get a limit that reaches further, when their runs are done.
        self.unlimited = {w for w in work.worlds if work.rulers[w].can_be_extended}

    def first(self) -> list[Job]:
        """Return what nothing else has to be done for."""
        self.progress.start(
            len(self.unready), [run.name for runs in self.left.values() for run in runs]
        )
        jobs = [self._preparation(world) for world in self.waiting]
        for world in self.work.worlds:
            if world not in self.unready:
                jobs += self._runs(world)
        self._expect_limits()
        return jobs

    def _preparation(self, world: World) -> Job:
        preparation = _Preparation(world, self.work.rulers[world])
        return Job(_prepare, preparation, partial(self._after_preparation, world))

    def _after_preparation(self, world: World, outcome: Outcome) -> list[Job]:
        label = f"{world.name} shared stages, seed {world.seed}"
        self.progress.advance("shared stages", label, *outcome)
        if outcome.status != "ok":
            error = f"shared stage: {outcome.error}"
            for run in self.left[world]:
                self.problems[run.key] = ("failed", error)
                self.progress.expect(run.name, self.progress.left[run.name] - 1)
            self.left[world] = []
        others = [self._preparation(other) for other in self.waiting.get(world, [])]
        return others + self._runs(world)

    def _runs(self, world: World) -> list[Job]:
        """Return the runs on a world that is ready, or its limit where none is left."""
        runs = [Job(attempt, run, partial(self._after_run, run)) for run in self.left[world]]
        return runs or self._limit(world)

    def _after_run(self, run: Run, outcome: Outcome) -> list[Job]:
        label = f"{run.label}, seed {run.world.seed}"
        self.progress.advance(run.name, label, *outcome)
        if outcome.status != "ok":
            self.problems[run.key] = (outcome.status, outcome.error)
        self.left[run.world].remove(run)
        return [] if self.left[run.world] else self._limit(run.world)

    def _limit(self, world: World) -> list[Job]:
        mixture = self.work.mixture(world)
        if mixture is not None and not mixture.exists():
            return [Job(_extend, mixture, partial(self._after_limit, world))]
        self.unlimited.discard(world)
        self._expect_limits()
        return []

    def _after_limit(self, world: World, outcome: Outcome) -> list[Job]:
        # Without it the limit is what the reference's samples give: no run fails by this.
        self.unlimited.discard(world)
        self.progress.advance("limit", f"{world.name} limit, seed {world.seed}", *outcome)
        return []

    def _expect_limits(self) -> None:
        self.progress.expect("limit", len(self.unlimited))


def default_jobs(device: str) -> int:
    """Return as many workers as the machine has cores for on a CPU, and one on a GPU."""
    if device != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_store() -> Store:
    """Return the cache: PREFRONTIER_CACHE, or .cache in the working directory."""
    return Store(Path(os.environ.get("PREFRONTIER_CACHE") or ".cache").absolute())

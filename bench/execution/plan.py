"""What an experiment asks for: pipelines, their reference samples, and the runs on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from bench.cache.store import Store
from bench.config.experiment import Experiment
from bench.errors import Missing
from bench.evaluation.optimal.frontier import Frontiers
from bench.evaluation.pooled_samples import KIND as POOLED_SAMPLES
from bench.evaluation.pooled_samples import PooledSamples
from bench.evaluation.reference_samples import KIND as REFERENCE_SAMPLES
from bench.evaluation.reference_samples import ReferenceSamples
from bench.execution.run import METRICS, Run
from bench.pipeline.base import Pipeline
from bench.pipeline.registry import make_pipeline

# A policy whose KL is less tells nothing that the SFT policy does not (nats).
MOVED = 0.1


@dataclass
class Work:
    """Pipelines, each with its reference samples, and the runs on them."""

    reference_samples: dict[Pipeline, ReferenceSamples]
    runs: list[Run]
    _held_pools: set[str] = field(init=False, repr=False, default_factory=set)

    @property
    def pipelines(self) -> list[Pipeline]:
        """The pipelines, in their order."""
        return list(self.reference_samples)

    @property
    def keeps_policies(self) -> bool:
        """Whether any trained policy is needed once it is measured, besides those of the pool."""
        return True

    def unready(self) -> list[Pipeline]:
        """Return the pipelines that lack a stage or their reference samples."""
        samples = self.reference_samples
        return [p for p in self.pipelines if p.missing() or not samples[p].exists()]

    def unfinished(self) -> list[Run]:
        """Return the runs that have yet to be trained or measured."""
        return [run for run in self.runs if not run.finished()]

    def pooled_samples(self, pipeline: Pipeline) -> PooledSamples | None:
        """Return the pool with the policies trained so far that moved furthest.

        None where all responses are listed, or no policy moved that could be sampled.
        """
        runs = [run for run in self.runs if run.pipeline == pipeline]
        return pooled_among(self.reference_samples[pipeline], runs)[0]

    def measured_artifacts(self) -> list[str]:
        """Return the artifacts that results are read from: metrics, reference and pooled samples.

        As far as they are there, by name, as in "metrics/3f2a".
        """
        metrics = [f"{METRICS}/{run.key}" for run in self.runs if run.finished()]
        samples = [
            f"{REFERENCE_SAMPLES}/{samples.key}"
            for samples in self.reference_samples.values()
            if samples.exists()
        ]
        return sorted({*metrics, *samples, *self._pools()})

    def _pools(self) -> list[str]:
        pools = filter(None, map(self.pooled_samples, self.pipelines))
        return [f"{POOLED_SAMPLES}/{pool.key}" for pool in pools if pool.exists()]

    def hold_pools(self) -> list[str]:
        """Return the pools that are there, by name. From then on, they may not go missing."""
        self._held_pools.update(pools := self._pools())
        return pools

    def frontiers(self, pipeline: Pipeline) -> Frontiers | None:
        """Return the optimal frontiers that reach furthest; None without reference samples.

        Raises:
            Missing: The pool was there when the pools were held.
        """
        samples, pool = self.reference_samples[pipeline], self.pooled_samples(pipeline)
        if not samples.exists():
            return None
        if pool is None or not pool.exists():
            # Without it the frontier would reach less far, and nothing would say so.
            if pool and (name := f"{POOLED_SAMPLES}/{pool.key}") in self._held_pools:
                raise Missing(name)
            return samples.frontiers
        both = (pool.frontiers, samples.frontiers)
        return max(both, key=lambda frontiers: frontiers.reward.largest_kl)


def pooled_among(
    samples: ReferenceSamples, runs: Sequence[Run]
) -> tuple[PooledSamples | None, list[Run]]:
    """Return the pool with the policies that moved furthest, and the runs that trained them.

    Args:
        samples: Reference samples of a pipeline.
        runs: The pipeline's runs, of which those count that are finished.

    Returns:
        None and no runs where nothing is to be pooled.
    """
    if not samples.can_be_pooled:
        return None, []
    finished = [run for run in runs if run.finished()]
    moved = furthest(finished, samples.frontier_policies)
    folders = tuple(run.policy_folder for run in moved)
    return (PooledSamples(samples, folders) if moved else None), moved


def furthest(runs: list[Run], most: int) -> list[Run]:
    """Return the runs whose policies moved furthest, one for each method, privileged ones first.

    Policies that did not move, or have no log-probabilities, are left out.
    """
    moved: dict[str, tuple[bool, float, Run]] = {}
    for run in runs:
        metrics = run.metrics("test")
        kl = metrics["kl"]
        if kl is None or kl < MOVED or metrics["chosen_logp_change"] is None:
            continue
        if run.name not in moved or kl > moved[run.name][1]:
            moved[run.name] = (run.method.privileged, kl, run)
    ranked = sorted(moved.values(), key=lambda entry: entry[:2], reverse=True)
    return [run for *_, run in ranked[:most]]


@dataclass
class Plan(Work):
    """Everything that an experiment asks for, on one device.

    Attributes:
        experiment: What is asked for.
        device: "cpu" or "cuda".
        cached: How many runs had been finished before.
    """

    experiment: Experiment
    device: str
    cached: int

    @classmethod
    def of(cls, experiment: Experiment, store: Store, device: str) -> Plan:
        """Return the pipelines and runs; within a task, seed by seed.

        Raises:
            UserError: Data or models that a task names cannot be found.
        """
        evaluation = experiment.evaluation
        reference_samples: dict[Pipeline, ReferenceSamples] = {}
        runs: list[Run] = []
        for name, task in experiment.task_objects.items():
            settings = list(experiment.settings(name))
            first = make_pipeline(task, 0, device, store, alias=name)
            for seed in range(experiment.seeds):
                pipeline = replace(first, seed=seed, task=task.at_seed(seed))
                samples = ReferenceSamples(
                    pipeline,
                    experiment.sampling(task),
                    evaluation.frontier_samples,
                    evaluation.frontier_policies,
                )
                reference_samples[pipeline] = samples
                runs += [
                    Run(
                        name=setting.name,
                        method=setting.method,
                        params=tuple(setting.params.items()),
                        reference_samples=samples,
                        budget=experiment.budget,
                        per_prompt=evaluation.responses_per_prompt,
                        temperatures=tuple(evaluation.temperatures),
                        checkpoints=evaluation.checkpoints,
                    )
                    for setting in settings
                ]
        cached = sum(run.finished() for run in runs)
        return cls(reference_samples, runs, experiment, device, cached)

    @property
    def keeps_policies(self) -> bool:
        return self.experiment.keep != "none"

    def lines(self) -> Iterator[str]:
        """Yield the plan in words, a line for each task."""
        unready_samples = [p for p, s in self.reference_samples.items() if not s.exists()]
        for name in self.experiment.tasks:
            pipelines = [p for p in self.pipelines if p.name == name]
            runs = [run for run in self.runs if run.pipeline.name == name]
            stages = sum(len(p.stages) + 1 for p in pipelines)
            to_make = sum(len(p.missing()) + (p in unready_samples) for p in pipelines)
            unfinished = [run for run in runs if not run.finished()]
            to_do, trained = len(unfinished), sum(run.trained() for run in unfinished)
            methods = ", ".join(dict.fromkeys(run.name for run in runs))
            yield (
                f"{name}: {len(pipelines)} seeds of {methods}; "
                f"shared stages: {stages - to_make} cached, {to_make} to make; "
                f"runs: {len(runs) - to_do} cached, {to_do} to do"
                + (f" ({trained} of them trained)" if to_do else "")
            )

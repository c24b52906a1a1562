"""From an experiment to its jobs: what is shared is one job, and policies go when they may."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.running import running
from rich.console import Console

from bench.cache.store import Store
from bench.cache.uses import uses_of, using
from bench.commands.experiments.run import recorded
from bench.config.experiment import validated
from bench.errors import Missing
from bench.evaluation.checkpoints import measure_checkpoints
from bench.evaluation.reference_samples import ReferenceSamples
from bench.execution.estimates import Schedule
from bench.execution.execute import execute
from bench.execution.executors.local import LocalExecutor
from bench.execution.jobs import Pool, jobs_of, make_pool
from bench.execution.plan import Plan, Work
from bench.execution.run import POLICY, Run
from bench.execution.watching.progress import Progress
from bench.pipeline.base import Pipeline
from bench.pipeline.embedded import EmbeddedPipeline
from bench.tasks.exact import Exact
from methods.core.models.sampling import SamplingParams
from methods.dpo import DPO
from methods.sft import SFT


def work_on(*pipelines: Pipeline, runs: tuple[tuple[str, str], ...] = ()) -> Work:
    samples = {
        p: ReferenceSamples(p, SamplingParams(max_new_tokens=p.task.max_new_tokens), 64)
        for p in pipelines
    }
    made = {"sft": SFT(), "dpo": DPO(examples=64, batch_size=32)}
    return Work(
        samples,
        [
            Run(name, made[method], (), samples[pipeline], 1000, 2)
            for pipeline in pipelines
            for name, method in runs
        ],
    )


def test_pipelines_that_share_stages_share_the_jobs_that_make_them(
    tiny_exact: Exact, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    few = EmbeddedPipeline(replace(tiny_exact, labels=64), 0, "cpu", store, alias="few")
    many = EmbeddedPipeline(tiny_exact, 0, "cpu", store, alias="many")
    other_seed = EmbeddedPipeline(tiny_exact, 1, "cpu", store, alias="many")
    jobs = jobs_of(work_on(few, many, other_seed))
    labels = [job.label for job in jobs]
    assert labels.count("few base_model stage, seed 0") == 1
    assert "many base_model stage, seed 0" not in labels
    assert labels.count("many feedback stage, seed 0") == 1
    assert labels.count("many sft stage, seed 1") == 1
    names = {job.name: job for job in jobs}
    assert len(names) == len(jobs)
    # Whatever a job needs, another makes.
    assert all(need in names for job in jobs for need in job.needs)


def test_what_two_works_share_is_done_once(tiny_exact: Exact, tmp_path: Path) -> None:
    store = Store(tmp_path)
    few = EmbeddedPipeline(tiny_exact, 0, "cpu", store, alias="few")
    same, more = (EmbeddedPipeline(tiny_exact, seed, "cpu", store, alias="more") for seed in (0, 1))
    first = work_on(few, runs=(("dpo", "dpo"),))
    second = work_on(same, more, runs=(("dpo", "dpo"), ("sft", "sft")))
    labels = [job.label for job in jobs_of(first, second)]
    assert labels[: len(jobs_of(first))] == [job.label for job in jobs_of(first)]
    assert [label for label in labels if "seed 0" in label and "more" in label] == [
        "more sft, seed 0"
    ]
    assert labels.count("more dpo, seed 1") == 1


def on_two_seeds(instance: int | None, store: Store) -> Plan:
    content = {"tasks": {"exact": {"options": {"instance": instance}}}, "methods": {"sft": {}}}
    return Plan.of(validated({"name": "it", "seeds": 2, **content}, "it"), store, "cpu")


def test_seeds_may_have_instances_of_their_own(tmp_path: Path) -> None:
    def golds(instance: int | None) -> list[float]:
        pipelines = on_two_seeds(instance, Store(tmp_path)).pipelines
        return [pipeline.reward(["a b"], ["a"])[0] for pipeline in pipelines]

    assert golds(None) == [golds(0)[0], golds(1)[1]] and golds(0)[0] == golds(0)[1] != golds(1)[0]


def test_a_job_at_one_seed_tells_how_long_it_takes_at_another(tmp_path: Path) -> None:
    jobs = jobs_of(on_two_seeds(None, Store(tmp_path)))
    keys = {job.label.partition(",")[0]: job.estimate_key for job in jobs}
    assert len(jobs) == 2 * len(keys)
    assert all(job.estimate_key == keys[job.label.partition(",")[0]] for job in jobs)
    assert len({*keys.values()}) == len(keys)


def test_of_two_runs_that_share_a_training_the_second_waits(
    tiny_exact: Exact, tmp_path: Path
) -> None:
    pipeline = EmbeddedPipeline(tiny_exact, 0, "cpu", Store(tmp_path))
    work = work_on(pipeline, runs=(("dpo", "dpo"),))
    [run] = work.runs
    work.runs.append(replace(run, per_prompt=3))
    first, second = (job for job in jobs_of(work) if isinstance(job.argument, Run))
    policy = f"policy/{run.train_key}"
    assert policy in first.makes and policy not in second.makes and policy in second.needs


@pytest.mark.parametrize("keeps", [True, False])
def test_policies_go_once_they_are_measured_where_none_is_kept(
    tiny_exact: Exact, tmp_path: Path, keeps: bool
) -> None:
    pipeline = EmbeddedPipeline(tiny_exact, 0, "cpu", Store(tmp_path))
    work = work_on(pipeline, runs=(("sft", "sft"), ("dpo", "dpo")))
    # It shares the training of the first, and fails when it measures.
    work.runs.append(replace(work.runs[0], per_prompt=0))
    schedule = Schedule.of(work, machine="test")
    progress = Progress(Console(file=StringIO()), schedule, 1)
    problems = execute(schedule, LocalExecutor(1), progress, keeps_policies=keeps)
    assert list(problems) == [work.runs[2].key], problems
    sft, dpo, _ = (run.trained() for run in work.runs)
    # Its run is tried again by the next command, with the policy that is there.
    assert (sft, dpo) == (True, keeps)
    again = Schedule.of(work, machine="test")
    assert [job.argument for job in again.left()] == [work.runs[2]]
    known = {job.label: job.seconds for job in again.jobs}
    assert 0 < known["exact sft, seed 0"] < 600


def test_what_was_partly_done_does_not_tell_how_long_all_of_it_takes(
    tiny_exact: Exact, tmp_path: Path
) -> None:
    pipeline = EmbeddedPipeline(tiny_exact, 0, "cpu", Store(tmp_path))
    work = work_on(pipeline, runs=(("sft", "sft"),))
    for responses in (2, 3):
        # The second time, its policy is there.
        work.runs[:] = [replace(work.runs[0], per_prompt=responses)]
        schedule = Schedule.of(work, machine="test")
        assert not execute(schedule, LocalExecutor(1))
        [entry] = [e for e in schedule.durations.entries.values() if e["kind"] == "sft"]
        assert len(entry["seconds"]) == 1


def nothing(folder: Path) -> dict[str, Any]:
    return {}


@pytest.fixture
def trained(tiny_exact: Exact, tmp_path: Path) -> Run:
    """A run whose policy is in the cache, as far as that can tell."""
    pipeline = EmbeddedPipeline(tiny_exact, 0, "cpu", Store(tmp_path))
    [run] = work_on(pipeline, runs=(("sft", "sft"),)).runs
    pipeline.store.make(POLICY, run.train_key, nothing)
    return run


def test_a_policy_stays_while_another_experiment_that_runs_refers_to_it(trained: Run) -> None:
    store, name = trained.pipeline.store, f"policy/{trained.train_key}"
    with running(store, "other", [name]):
        trained.drop_policy()
        assert trained.trained()
    # Another command that does the same makes no use of it that this one does not.
    with running(store, "mine", [name]), using(store, "mine", "prefrontier bench mine", [name]):
        trained.drop_policy()
        assert not trained.trained()


def test_a_policy_that_is_dropped_while_it_is_measured_is_missing(
    trained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(samples: ReferenceSamples, *_: object, checkpoints: Path, **__: object) -> None:
        trained.drop_policy()
        measure_checkpoints(samples, checkpoints, 1)

    monkeypatch.setattr(Run, "policy", lambda run: None)
    monkeypatch.setattr("bench.execution.run.measure_policy", fail)
    with pytest.raises(Missing, match=f"policy/{trained.train_key}"):
        trained.execute()
    assert not trained.finished()


def test_a_policy_without_checkpoints_has_none_to_measure(trained: Run) -> None:
    folder = trained.policy_folder / "checkpoints"
    assert measure_checkpoints(trained.reference_samples, folder, 1) == []


def test_a_pool_that_is_there_needs_no_policy(
    trained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Made:
        def exists(self) -> bool:
            return True

    trained.drop_policy()
    monkeypatch.setattr("bench.execution.jobs.pooled_among", lambda *_: (Made(), [trained]))
    make_pool(Pool(trained.reference_samples, (trained,)))
    assert not trained.trained()


def test_a_pool_that_was_there_may_not_go_missing(
    trained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pooled:
        key, there = "1f", False

        def exists(self) -> bool:
            return self.there

    pool, samples = Pooled(), trained.reference_samples
    monkeypatch.setattr(Work, "pooled_samples", lambda *_: pool)
    monkeypatch.setattr(ReferenceSamples, "exists", lambda _: True)
    monkeypatch.setattr(ReferenceSamples, "frontiers", "alone")
    work = Work({trained.pipeline: samples}, [trained])
    assert work.hold_pools() == [] and work.frontiers(trained.pipeline) == "alone"
    pool.there = True
    assert work.hold_pools() == ["pooled_samples/1f"]
    pool.there = False
    with pytest.raises(Missing, match="pooled_samples/1f"):
        work.frontiers(trained.pipeline)


def test_the_pools_that_are_there_are_in_the_record_while_a_command_runs(
    trained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = trained.pipeline.store
    monkeypatch.setenv("PREFRONTIER_CACHE", str(store.root))
    plan: Any = SimpleNamespace(
        experiment=SimpleNamespace(name="one"), hold_pools=lambda: ["pooled_samples/1f"]
    )
    with recorded(plan, []):
        [use] = uses_of(store)
        assert use.artifacts == {"pooled_samples/1f"}

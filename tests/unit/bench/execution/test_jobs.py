"""What is done when: pipelines that share stages wait for the one that makes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import cast

from rich.console import Console

from bench.cache.store import Store
from bench.evaluation.reference_samples import ReferenceSamples
from bench.execution.executors import Outcome
from bench.execution.jobs import Schedule
from bench.execution.plan import Work
from bench.execution.progress import Progress
from bench.execution.run import Run
from bench.pipeline.base import Pipeline
from bench.pipeline.embedded import EmbeddedPipeline
from bench.tasks.exact import Exact
from methods.core.models.sampling import SamplingParams


def test_pipelines_that_share_stages_wait_for_the_one_that_makes_them(
    tiny_exact: Exact, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    few = EmbeddedPipeline(replace(tiny_exact, labels=64), 0, "cpu", store, alias="few")
    many = EmbeddedPipeline(tiny_exact, 0, "cpu", store, alias="many")
    other_seed = EmbeddedPipeline(tiny_exact, 1, "cpu", store, alias="many")
    pipelines = (few, many, other_seed)
    samples = {p: ReferenceSamples(p, SamplingParams(), 64) for p in pipelines}
    schedule = Schedule(Work(samples, []), Progress(Console(file=StringIO()), 2))
    first = schedule.first()
    assert [job.argument.pipeline for job in first] == [few, other_seed]
    then = first[0].after(Outcome("failed", "out of memory", 1.0))
    assert [job.argument.pipeline for job in then] == [many]
    assert first[1].after(Outcome("ok", "", 1.0)) == []


@dataclass
class MeasuredRun:
    """A run that is measured as soon as it is started."""

    pipeline: Pipeline
    train_key: str
    key: str
    dropped: bool = False
    name: str = "dpo"
    label: str = "dpo"

    def finished(self) -> bool:
        return False

    def drop_policy(self) -> None:
        self.dropped = True


class KeepsNone(Work):
    keeps_policies = False  # type: ignore[assignment]


def test_a_policy_goes_once_it_is_measured_where_none_is_kept(
    tiny_exact: Exact, tmp_path: Path
) -> None:
    pipeline = EmbeddedPipeline(tiny_exact, 0, "cpu", Store(tmp_path))
    samples = {pipeline: ReferenceSamples(pipeline, SamplingParams(), 64)}
    # The first two share a training.
    runs = [MeasuredRun(pipeline, "a", "1"), MeasuredRun(pipeline, "a", "2")]
    runs += [MeasuredRun(pipeline, "b", "3"), MeasuredRun(pipeline, "c", "4")]
    for work, expected in ((KeepsNone, [False, True, True, False]), (Work, [False] * 4)):
        progress = Progress(Console(file=StringIO()), 1)
        schedule = Schedule(work(samples, cast(list[Run], runs)), progress)
        for run in runs:
            run.dropped = False
            status = "failed" if run.key == "4" else "ok"
            schedule._after_run(cast(Run, run), Outcome(status, "", 1.0))
        assert [run.dropped for run in runs] == expected

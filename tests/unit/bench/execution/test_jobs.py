"""What is done when: pipelines that share stages wait for the one that makes them."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from bench.cache.store import Store
from bench.evaluation.reference_samples import ReferenceSamples
from bench.execution.executors import Outcome
from bench.execution.jobs import Schedule
from bench.execution.plan import Work
from bench.execution.progress import Progress
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

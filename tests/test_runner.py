"""What is done when: shared stages once, and nothing that a change leaves as it was."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from bench.evaluation.reference_samples import ReferenceSamples
from bench.pipeline.embedded import EmbeddedPipeline
from bench.execution.progress import Progress
from bench.execution.plan import Execution, Work
from bench.execution.run import imported_methods
from bench.cache.store import Store
from bench.tasks.exact import Exact
from bench.execution.executors import Outcome
from methods.core.models.sampling import SamplingParams


def test_worlds_that_share_stages_wait_for_the_one_that_makes_them(
    tiny_exact: Exact, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    few = EmbeddedPipeline(replace(tiny_exact, labels=64), 0, "cpu", store, alias="few")
    many = EmbeddedPipeline(tiny_exact, 0, "cpu", store, alias="many")
    other = EmbeddedPipeline(tiny_exact, 1, "cpu", store, alias="many")
    reference_samples_of = {pipeline: ReferenceSamples(pipeline, SamplingParams(), 64) for pipeline in (few, many, other)}
    progress = Progress(Console(file=StringIO()), 2)
    execution = Execution(Work(list(reference_samples_of), reference_samples_of, []), progress)
    first = execution.first()
    assert [job.argument.pipeline for job in first] == [few, other]
    then = first[0].after(Outcome("failed", "out of memory", 1.0))
    assert [job.argument.pipeline for job in then] == [many]
    assert first[1].after(Outcome("ok", "", 1.0)) == []


def test_a_method_is_trained_anew_where_what_it_imports_from_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from methods.reinforce import policy_gradient_loss\n"
        "def late():\n    from methods import ppo_gold, nothing\n    import methods.rloo\n"
    )
    names = {found.name for found in imported_methods(file)}
    assert names == {"reinforce.py", "ppo_gold.py", "rloo.py"}

"""Keys of artifacts: a change makes anew what depends on it, and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from helpers.code import change_module, forget_digests

from bench.cache.store import Store
from bench.pipeline.base import Pipeline
from bench.pipeline.embedded import EmbeddedPipeline
from bench.tasks.base import RewardTraining, Training
from bench.tasks.labeling import Annotator
from bench.tasks.polite import Polite

STAGES = ("base_model", "sft", "feedback", "reward_model")


@pytest.fixture(autouse=True)
def fresh_digests() -> Iterator[None]:
    forget_digests()
    yield
    forget_digests()


@pytest.fixture
def pipeline(tmp_path: Path) -> EmbeddedPipeline:
    return EmbeddedPipeline(Polite(), 0, "cpu", Store(tmp_path))


def keys(pipeline: Pipeline) -> dict[str, str]:
    return {stage: pipeline.key(stage) for stage in pipeline.stages}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {stage for stage in before if before[stage] != after[stage]}


def test_all_stages_have_a_key_of_their_own(pipeline: EmbeddedPipeline) -> None:
    assert tuple(keys(pipeline)) == STAGES
    assert len(set(keys(pipeline).values())) == len(STAGES)


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("bench.pipeline.stages.training.reward_training", {"reward_model"}),
        ("bench.pipeline.stages.accuracy", {"reward_model"}),
        ("bench.pipeline.stages.annotator", {"feedback", "reward_model"}),
        ("bench.pipeline.stages.sft", {"sft", "feedback", "reward_model"}),
        ("bench.pipeline.stages.training.tokenizers", set(STAGES)),
        ("bench.tasks.polite", set(STAGES)),
        ("bench.tasks.base", set(STAGES)),
        ("bench.pipeline.embedded", set(STAGES)),
        ("bench.pipeline.base", set(STAGES)),
        ("methods.core.models.policy", set(STAGES)),
    ],
)
def test_a_changed_module_makes_anew_the_stages_that_use_it_and_later_ones(
    pipeline: EmbeddedPipeline, monkeypatch: pytest.MonkeyPatch, module: str, stages: set[str]
) -> None:
    before = keys(pipeline)
    change_module(monkeypatch, module)
    assert changed(before, keys(pipeline)) == stages


@pytest.mark.parametrize(
    "module",
    [
        "bench.tasks",
        "bench.tasks.haiku",
        "bench.pipeline.registry",
        "bench.pipeline.recorded",
        "bench.pipeline.stages.judge",
        "bench.evaluation.measure",
        "methods.dpo",
    ],
)
def test_other_tasks_pipelines_and_methods_change_nothing(
    pipeline: EmbeddedPipeline, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """Such as a new task: its own module, and a line in `bench.tasks`."""
    before = keys(pipeline)
    change_module(monkeypatch, module)
    assert changed(before, keys(pipeline)) == set()


@pytest.mark.parametrize(
    ("options", "stages"),
    [
        ({"reward_model": RewardTraining(2, 32, 1e-3)}, {"reward_model"}),
        ({"labels": 128}, {"feedback", "reward_model"}),
        ({"annotator": Annotator(flip_rate=0.1)}, {"feedback", "reward_model"}),
        ({"sft": Training(128, 1, 64, 1e-3)}, {"sft", "feedback", "reward_model"}),
        ({"pretraining": Training(128, 1, 64, 1e-3)}, set(STAGES)),
        ({"courtesy": 0.5}, set(STAGES)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_option_makes_anew_the_stage_that_reads_it_and_later_ones(
    pipeline: EmbeddedPipeline, options: dict[str, Any], stages: set[str]
) -> None:
    other = replace(pipeline, task=replace(pipeline.task, **options))
    assert changed(keys(pipeline), keys(other)) == stages


def test_every_option_counts(pipeline: EmbeddedPipeline) -> None:
    read = {name for stage in pipeline.stages for name in pipeline.stage_options(stage)}
    assert read == {field.name for field in dataclasses.fields(pipeline.task)}


def test_seed_and_device_count(pipeline: EmbeddedPipeline) -> None:
    assert changed(keys(pipeline), keys(replace(pipeline, seed=1))) == set(STAGES)
    assert changed(keys(pipeline), keys(replace(pipeline, device="cuda"))) == set(STAGES)


def test_the_name_in_the_experiment_does_not_count(pipeline: EmbeddedPipeline) -> None:
    assert keys(replace(pipeline, alias="another")) == keys(pipeline)


@dataclass(frozen=True)
class CarefulPipeline(EmbeddedPipeline):
    """A kind of pipeline in a module of its own: this one."""


def test_a_kind_of_pipeline_depends_on_its_own_module(
    pipeline: EmbeddedPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    careful = CarefulPipeline(pipeline.task, 0, "cpu", pipeline.store)
    before, others = keys(careful), keys(pipeline)
    change_module(monkeypatch, __name__)
    assert changed(before, keys(careful)) == set(STAGES)
    assert keys(pipeline) == others

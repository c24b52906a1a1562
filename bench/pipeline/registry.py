"""The kind of pipeline for each kind of task, one line each."""

from __future__ import annotations

from pkgutil import resolve_name

from bench.cache.store import Store
from bench.pipeline.base import Pipeline
from bench.tasks.base import Task

PATHS = (
    "bench.pipeline.embedded:EmbeddedPipeline",
    "bench.pipeline.recorded:RecordedPipeline",
    "bench.pipeline.sentiment:SentimentPipeline",
)
PIPELINES: dict[type[Task], type[Pipeline]] = {
    pipeline.task_class: pipeline for pipeline in map(resolve_name, PATHS)
}


def pipeline_class(task: Task) -> type[Pipeline]:
    """Return the kind of pipeline for a task: that of its nearest registered base class."""
    return next(PIPELINES[kind] for kind in type(task).__mro__ if kind in PIPELINES)


def make_pipeline(task: Task, seed: int, device: str, store: Store, alias: str = "") -> Pipeline:
    """Return the pipeline of a task at a seed.

    Raises:
        UserError: Data or models that the task names cannot be found.
    """
    return pipeline_class(task).open(task, seed, device, store, alias)

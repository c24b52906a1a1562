"""The SFT policy: the base model fine-tuned on demonstrations, or on what people preferred."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.pipeline.stages.training.language_model import fine_tune, some
from bench.tasks.base import Example
from methods.core.feedback import Label, Unpaired, responses_of
from methods.core.models.policy import ModelPolicy

if TYPE_CHECKING:
    from bench.pipeline.base import Pipeline
    from bench.pipeline.recorded import RecordedPipeline
    from bench.pipeline.simulated import SimulatedPipeline
    from bench.tasks.base import Training


def make_simulated(pipeline: SimulatedPipeline, folder: Path) -> dict[str, Any]:
    """Fine-tune the base model on the task's demonstrations."""
    _fine_tuned(pipeline, pipeline.demonstrations(), pipeline.task.sft).save(folder)
    return {}


def make_recorded(pipeline: RecordedPipeline, folder: Path) -> dict[str, Any]:
    """Fine-tune the base model on preferred responses, or take it as it is.

    The task's option `base` says which.
    """
    task = pipeline.task
    if task.base == "sft first":
        train_labels = pipeline.labels("train", pipeline.feedback_kind)
        examples = some(preferred(train_labels), task.sft.examples, "sft")
        _fine_tuned(pipeline, examples, task.sft).save(folder)
    else:
        # As it was saved, whatever the precision in which methods load it.
        ModelPolicy.load(pipeline.folder("base_model"), "cpu").save(folder)
    return {}


def _base_model(pipeline: Pipeline) -> ModelPolicy:
    folder = pipeline.folder("base_model")
    return ModelPolicy.load(folder, pipeline.device, pipeline.loading, trainable=True)


def _fine_tuned(pipeline: Pipeline, examples: Sequence[Example], training: Training) -> ModelPolicy:
    policy = _base_model(pipeline)
    train = partial(fine_tune, loading=pipeline.loading)
    policy.model = pipeline.fit("sft", train, policy.model, policy.tokenizer, examples, training)
    return policy


def preferred(labels: Sequence[Label]) -> list[Example]:
    """Return the responses that people preferred, without repeats, as demonstrations."""
    liked = [label for label in labels if not isinstance(label, Unpaired) or label.label]
    return list(dict.fromkeys(Example(label.prompt, responses_of(label)[0]) for label in liked))

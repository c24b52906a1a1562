"""The base model: pretrained here on the task's text, or taken from a folder."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from bench.pipeline.stages.training.language_model import pretrain, pretrain_on_labels
from bench.pipeline.stages.training.models import load_model, make_model
from bench.pipeline.stages.training.tokenizers import make_tokenizer
from methods.core.models.policy import ModelPolicy
from methods.core.models.pretrained import GENERATION_FILE, read_generation_config

if TYPE_CHECKING:
    from bench.pipeline.embedded import EmbeddedPipeline
    from bench.pipeline.recorded import RecordedPipeline
    from bench.pipeline.sentiment import SentimentPipeline


def make_embedded(pipeline: EmbeddedPipeline, folder: Path) -> dict[str, Any]:
    """Pretrain a model of whole words on the task's own text."""
    task, seed = pipeline.task, pipeline.seed
    tokenizer = make_tokenizer(task.words())
    model = make_model(task.architecture, tokenizer, seed)
    corpus = task.corpus(Random(f"corpus {seed}"), task.pretraining.examples)
    pipeline.fit("base_model", pretrain, model, tokenizer, corpus, task.pretraining)
    ModelPolicy(model, tokenizer).save(folder)
    return {}


def make_recorded(pipeline: RecordedPipeline, folder: Path) -> dict[str, Any]:
    """Load the task's model, or pretrain one of an embedded size on the text of the train split.

    Returns:
        parameters: how many the model has.
    """
    source = pipeline.sources.model.folder
    if source:
        policy = _loaded(Path(source), pipeline)
    else:
        tokenizer = pipeline.tokenizer
        model = pretrain_on_labels(pipeline, "base_model", pipeline.task.model, tokenizer)
        policy = ModelPolicy(model, tokenizer)
    policy.save(folder)
    return {"parameters": policy.model.num_parameters()}


def make_sentiment(pipeline: SentimentPipeline, folder: Path) -> dict[str, Any]:
    """Load the task's model."""
    _loaded(Path(pipeline.sources.model.folder), pipeline).save(folder)
    return {}


def _loaded(source: Path, pipeline: RecordedPipeline | SentimentPipeline) -> ModelPolicy:
    """Return the task's model, with its makers' generation config kept beside it."""
    tokenizer = pipeline.tokenizer
    model = load_model(source, tokenizer, pipeline.task.loading.dtype)
    original = read_generation_config(source / GENERATION_FILE)
    return ModelPolicy(model, tokenizer, original_generation=original)

"""The base model: pretrained here on the task's text, or taken from a folder."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from bench.pipeline.stages.training.language_model import pretrain, pretrain_on_labels
from bench.pipeline.stages.training.models import load_model, make_model
from bench.pipeline.stages.training.tokenizers import make_tokenizer
from methods.core.models.policy import ModelPolicy

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
    task, tokenizer, source = pipeline.task, pipeline.tokenizer, pipeline.sources.model.folder
    if source:
        model = load_model(Path(source), tokenizer, task.loading.dtype)
    else:
        model = pretrain_on_labels(pipeline, "base_model", task.model, tokenizer)
    ModelPolicy(model, tokenizer).save(folder)
    return {"parameters": model.num_parameters()}


def make_sentiment(pipeline: SentimentPipeline, folder: Path) -> dict[str, Any]:
    """Load the task's model."""
    source = Path(pipeline.sources.model.folder)
    model = load_model(source, pipeline.tokenizer, pipeline.task.loading.dtype)
    ModelPolicy(model, pipeline.tokenizer).save(folder)
    return {}

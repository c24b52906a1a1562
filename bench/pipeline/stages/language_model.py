"""Language-model training on examples: the base model on all tokens, the SFT policy on answers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.pipeline.stages.models import PIECE_POSITIONS, make_model
from bench.tasks.base import Example, Training
from bench.tasks.sizes import SIZES
from methods.core.feedback import responses_of
from methods.core.models import distributed
from methods.core.models.loading import Loading, adapted, merged
from methods.core.models.reward import with_end
from methods.core.models.text import encode_prompts, encode_responses, render_prompt
from methods.core.training.length_batching import IN_ORDER, in_order
from methods.core.training.trainer import train_quietly, trainer_arguments
from methods.core.trl.sft import train_on_responses

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from bench.pipeline.recorded import RecordedPipeline


def pretrain(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    training: Training,
    *,
    device: str,
    seed: int,
    workdir: Path,
    loading: Loading = Loading(),
) -> None:
    """Train the model in place on prompts and responses alike."""
    from datasets import Dataset
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    examples, order = in_passes(tokenizer, examples, training, seed, loading)
    prompts = encode_prompts(tokenizer, [e.prompt for e in examples])
    responses = encode_responses(tokenizer, [e.response for e in examples])
    rows = [{"input_ids": p + r, "labels": p + r} for p, r in zip(prompts, responses, strict=True)]
    arguments = TrainingArguments(
        **_arguments(model, training, device, seed, workdir, loading) | order
    )
    train_quietly(
        lambda: Trainer(
            model,
            arguments,
            train_dataset=Dataset.from_list(rows),
            data_collator=DataCollatorForSeq2Seq(tokenizer),
        )
    )


def pretrain_on_labels(
    pipeline: RecordedPipeline, stage: str, size: str, tokenizer: PreTrainedTokenizerBase
) -> PreTrainedModel:
    """Return a model of an embedded size, trained on all text of the train split.

    Args:
        pipeline: Recorded preferences.
        stage: The stage that is being made, base model or judge.
        size: A name in `SIZES`.
        tokenizer: The model's.
    """
    task = pipeline.task
    model = make_model(SIZES[size].architecture, tokenizer, 0, PIECE_POSITIONS, tied=True)
    end = str(tokenizer.eos_token)
    texts = [
        Example(label.prompt, with_end(response, pipeline.end, end))
        for label in pipeline.labels("train", pipeline.feedback_kind)
        for response in responses_of(label)
    ][: task.pretraining.examples]
    train = partial(pretrain, loading=task.loading)
    pipeline.fit(stage, train, model, tokenizer, texts, task.pretraining, seed=0)
    return model


def fine_tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    training: Training,
    *,
    device: str,
    seed: int,
    workdir: Path,
    loading: Loading = Loading(),
) -> PreTrainedModel:
    """Train the model on the responses and return it, adapters merged into it."""
    model = adapted(model, loading)
    examples, order = in_passes(tokenizer, examples, training, seed, loading)
    train_on_responses(
        model,
        tokenizer,
        [e.prompt for e in examples],
        [e.response for e in examples],
        _arguments(model, training, device, seed, workdir, loading) | order,
    )
    return merged(model)


def in_passes(
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    training: Training,
    seed: int,
    loading: Loading,
) -> tuple[Sequence[Example], dict[str, Any]]:
    """Return the examples in the order of all passes, and arguments that say so; if asked for."""
    if not loading.group_by_length:
        return examples, {}
    texts = [render_prompt(tokenizer, e.prompt) + e.response for e in examples]
    lengths = [len(ids) for ids in encode_responses(tokenizer, texts)]
    count = max(1, round(training.epochs * len(examples)))
    ordered = in_order(examples, lengths, count, training.batch_size, seed)
    return ordered, {"num_train_epochs": 1, **IN_ORDER}


def _arguments(
    model: PreTrainedModel,
    training: Training,
    device: str,
    seed: int,
    workdir: Path,
    loading: Loading = Loading(),
) -> dict[str, Any]:
    # A short memory of the gradient's size: small models learn their first look-ups sooner so.
    return trainer_arguments(model, device, seed, workdir, loading) | {
        "num_train_epochs": training.epochs,
        "per_device_train_batch_size": distributed.local_batch_size(training.batch_size),
        "learning_rate": training.learning_rate,
        "warmup_steps": 30,
        "adam_beta2": 0.98,
        "logging_strategy": "no",
    }

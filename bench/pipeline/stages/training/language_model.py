"""Training language models: base models on all tokens, SFT policies on the responses' tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from bench.pipeline.stages.training.models import PIECE_POSITIONS, make_model
from bench.tasks.base import Example, Training
from bench.tasks.sizes import SIZES
from methods.core.feedback import responses_of
from methods.core.models import distributed
from methods.core.models.loading import Loading, adapted, merged
from methods.core.models.text import encode_prompts, encode_responses, render_prompt, with_end
from methods.core.training.length_batching import IN_ORDER, in_order
from methods.core.training.memory import accumulation, micro_batch_tokens
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
    """Train a model in place on the tokens of prompts and responses.

    Args:
        model: Trained in place.
        tokenizer: The model's.
        examples: Prompts with responses.
        training: Epochs, batch size and learning rate.
        device: "cpu" or "cuda".
        seed: Of the order of the examples.
        workdir: A folder for the trainer.
        loading: Precision, adapters and batching.

    Raises:
        Diverged: A weight is not finite.
    """
    from datasets import Dataset
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    examples, order = ordered_by_length(tokenizer, examples, training, seed, loading)
    prompts = encode_prompts(tokenizer, [e.prompt for e in examples])
    responses = encode_responses(tokenizer, [e.response for e in examples])
    rows = [{"input_ids": p + r, "labels": p + r} for p, r in zip(prompts, responses, strict=True)]
    longest = max((len(row["input_ids"]) for row in rows), default=1)
    most = micro_batch_tokens([model], loading, device)
    arguments = TrainingArguments(
        **_arguments(model, training, device, seed, workdir, loading)
        | accumulation(distributed.local_batch_size(training.batch_size), longest, most)
        | order
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
        pipeline: Whose labels and options of pretraining are used.
        stage: The stage that is being made, base model or judge.
        size: A name in `SIZES`.
        tokenizer: The model's.
    """
    task = pipeline.task
    model = make_model(SIZES[size].architecture, tokenizer, 0, PIECE_POSITIONS, tied=True)
    end = str(tokenizer.eos_token)
    texts = [
        Example(label.prompt, with_end(response, [pipeline.end], end))
        for label in pipeline.labels("train", pipeline.feedback_kind)
        for response in responses_of(label)
    ]
    examples = some(texts, task.pretraining.examples, stage)
    train = partial(pretrain, loading=task.loading)
    pipeline.fit(stage, train, model, tokenizer, examples, task.pretraining, seed=0)
    return model


def some(examples: Sequence[Example], most: int, purpose: str) -> Sequence[Example]:
    """Return at most so many examples, drawn at random: a file may be sorted.

    Args:
        examples: All of them.
        most: How many are wanted.
        purpose: What they are for. The same examples are drawn at every seed.
    """
    if len(examples) <= most:
        return examples
    return Random(f"examples {purpose}").sample(examples, most)


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
    """Train a model on the responses' tokens, given the prompts.

    Args:
        model: Its weights are trained, or adapters on top of them.
        tokenizer: The model's.
        examples: Prompts with responses.
        training: Epochs, batch size and learning rate.
        device: "cpu" or "cuda".
        seed: Of the order of the examples and of new adapters.
        workdir: A folder for the trainer.
        loading: Precision, adapters and batching.

    Returns:
        The trained model, adapters merged.

    Raises:
        Diverged: A weight is not finite.
    """
    model = adapted(model, loading, seed=seed)
    examples, order = ordered_by_length(tokenizer, examples, training, seed, loading)
    train_on_responses(
        model,
        tokenizer,
        [e.prompt for e in examples],
        [e.response for e in examples],
        _arguments(model, training, device, seed, workdir, loading) | order,
        micro_batch_tokens([model], loading, device),
    )
    return merged(model)


def ordered_by_length(
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    training: Training,
    seed: int,
    loading: Loading,
) -> tuple[Sequence[Example], dict[str, Any]]:
    """Order the examples of all epochs so that batches hold similar lengths, where asked for.

    Returns:
        The examples, and the trainer's arguments that keep this order; the examples as they are and
        no arguments without `loading.group_by_length`.
    """
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
    # With a shorter average of squared gradients, small models learn to look words up sooner.
    return trainer_arguments(model, device, seed, workdir, loading) | {
        "num_train_epochs": training.epochs,
        "per_device_train_batch_size": distributed.local_batch_size(training.batch_size),
        "learning_rate": training.learning_rate,
        "warmup_steps": 30,
        "adam_beta2": 0.98,
        "logging_strategy": "no",
    }

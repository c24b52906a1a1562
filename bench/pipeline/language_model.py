"""Language-model training on examples: the base model on all tokens, the SFT policy on answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.tasks.base import Example, Training
from methods.core.fine_tuning import train_on_responses
from methods.core.text import encode_prompts, encode_responses
from methods.core.training import train_quietly, trainer_arguments

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def pretrain(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    training: Training,
    *,
    device: str,
    seed: int,
    workdir: Path,
) -> None:
    """Train the model in place on prompts and responses alike."""
    from datasets import Dataset
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    prompts = encode_prompts(tokenizer, [e.prompt for e in examples])
    responses = encode_responses(tokenizer, [e.response for e in examples])
    rows = [{"input_ids": p + r, "labels": p + r} for p, r in zip(prompts, responses, strict=True)]
    arguments = TrainingArguments(**_arguments(model, training, device, seed, workdir))
    train_quietly(
        lambda: Trainer(
            model,
            arguments,
            train_dataset=Dataset.from_list(rows),
            data_collator=DataCollatorForSeq2Seq(tokenizer),
        )
    )


def fine_tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    training: Training,
    *,
    device: str,
    seed: int,
    workdir: Path,
) -> None:
    """Train the model in place on the responses."""
    train_on_responses(
        model,
        tokenizer,
        [e.prompt for e in examples],
        [e.response for e in examples],
        _arguments(model, training, device, seed, workdir),
    )


def _arguments(
    model: PreTrainedModel, training: Training, device: str, seed: int, workdir: Path
) -> dict[str, Any]:
    # A short memory of the gradient's size: small models learn their first look-ups sooner so.
    return trainer_arguments(model, device, seed, workdir) | {
        "num_train_epochs": training.epochs,
        "per_device_train_batch_size": training.batch_size,
        "learning_rate": training.learning_rate,
        "warmup_steps": 30,
        "adam_beta2": 0.98,
        "logging_strategy": "no",
    }

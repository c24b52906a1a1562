"""Language-model training on examples: the base model on all tokens, the SFT policy on answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.tasks.base import Example, Training
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

    rows = [{"input_ids": p + r, "labels": p + r} for p, r in _tokens(tokenizer, examples)]
    arguments = TrainingArguments(**_arguments(model, training, device, seed, workdir))
    trainer = Trainer(
        model,
        arguments,
        train_dataset=Dataset.from_list(rows),
        data_collator=DataCollatorForSeq2Seq(tokenizer),
    )
    train_quietly(trainer)


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
    """Train the model in place on the responses, with TRL's SFTTrainer."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    # Given as tokens: from text the trainer would add an end to responses that were cut off.
    rows = [
        {"input_ids": p + r, "completion_mask": [0] * len(p) + [1] * len(r)}
        for p, r in _tokens(tokenizer, examples)
    ]
    arguments = SFTConfig(
        **_arguments(model, training, device, seed, workdir),
        completion_only_loss=True,
        max_length=None,
    )
    trainer = SFTTrainer(
        model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer
    )
    train_quietly(trainer)


def _tokens(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example]
) -> list[tuple[list[int], list[int]]]:
    prompts = encode_prompts(tokenizer, [e.prompt for e in examples])
    responses = encode_responses(tokenizer, [e.response for e in examples])
    return list(zip(prompts, responses, strict=True))


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

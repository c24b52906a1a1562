"""Language-model training on examples: the base model on all tokens, the SFT policy on answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.tasks.base import Example, Training
from methods.core.text import encode_prompts, encode_responses
from methods.core.training import train_quietly, trainer_arguments

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def fit_language_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    training: Training,
    *,
    answers_only: bool,
    device: str,
    seed: int,
    workdir: Path,
) -> None:
    """Train the model in place with TRL's SFTTrainer.

    answers_only: the loss counts response tokens alone (fine-tuning), else all (pretraining).
    """
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    prompts = encode_prompts(tokenizer, [e.prompt for e in examples])
    responses = encode_responses(tokenizer, [e.response for e in examples])
    # Given as tokens: from text the trainer would add an end to responses that were cut off.
    rows = [
        {"input_ids": p + r, "completion_mask": [0] * len(p) + [1] * len(r)}
        for p, r in zip(prompts, responses, strict=True)
    ]
    arguments = SFTConfig(
        **trainer_arguments(model, device, seed, workdir),
        num_train_epochs=training.epochs,
        per_device_train_batch_size=training.batch_size,
        learning_rate=training.learning_rate,
        warmup_steps=30,
        adam_beta2=0.98,
        completion_only_loss=answers_only,
        max_length=None,
        logging_strategy="no",
    )
    trainer = SFTTrainer(
        model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer
    )
    train_quietly(trainer)

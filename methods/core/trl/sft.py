"""Fine-tuning on responses with TRL's SFTTrainer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from methods.core.models.batch import MOST_TOKENS
from methods.core.models.text import encode_prompts, encode_responses
from methods.core.training.memory import accumulation
from methods.core.training.trainer import train_quietly

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainerCallback


def train_on_responses(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    responses: Sequence[str],
    arguments: dict[str, Any],
    most_tokens: int = MOST_TOKENS,
    callbacks: Sequence[TrainerCallback] = (),
) -> Trainer:
    """Train the model in place on the responses.

    Args:
        model: The model to train.
        tokenizer: Its tokenizer.
        prompts: Prompts as text.
        responses: One response to each prompt.
        arguments: Settings of SFTConfig.
        most_tokens: The most tokens that go through the model at once, padding included.
        callbacks: Callbacks of the trainer.

    Returns:
        The trainer after the training.

    Raises:
        Diverged: A weight is not finite.
    """
    return train_quietly(
        lambda: response_trainer(
            model, tokenizer, prompts, responses, arguments, most_tokens, callbacks
        )
    )


def response_trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    responses: Sequence[str],
    arguments: dict[str, Any],
    most_tokens: int = MOST_TOKENS,
    callbacks: Sequence[TrainerCallback] = (),
) -> Trainer:
    """Return the trainer that `train_on_responses` runs, given the same arguments."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    # As tokens: to text, the trainer would add an end token where a response was cut off.
    prompt_ids = encode_prompts(tokenizer, prompts)
    response_ids = encode_responses(tokenizer, responses)
    rows = [
        {"input_ids": p + r, "completion_mask": [0] * len(p) + [1] * len(r)}
        for p, r in zip(prompt_ids, response_ids, strict=True)
    ]
    longest = max(len(row["input_ids"]) for row in rows)
    batch_size = arguments["per_device_train_batch_size"]
    arguments = arguments | accumulation(batch_size, longest, most_tokens)
    return SFTTrainer(
        model,
        args=SFTConfig(**arguments, completion_only_loss=True, max_length=None),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=list(callbacks),
    )

"""TRL's DPOTrainer and KTOTrainer on our rows in our order: the oracle of the pairwise trainer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from datasets import Dataset
from transformers import Trainer
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference

from methods.core.models.policy import ModelPolicy
from methods.core.models.text import encode_prompts, encode_responses
from methods.core.training.context import Context
from methods.core.training.examples import training_rows
from methods.core.training.policy_trainer import fit_by_trainer
from methods.core.training.trainer import Schedule

Rows = list[dict[str, Any]]
# A point of the curves for every step.
IN_ORDER: dict[str, Any] = {
    "train_sampling_strategy": "sequential",
    "logging_steps": 1,
    "max_length": None,
}


def fit_by_dpo_trainer(context: Context, schedule: Schedule, **options: Any) -> ModelPolicy:
    """Train a fresh copy of the SFT policy on pairs by TRL's DPOTrainer.

    Args:
        context: The context, with pairs as its feedback.
        schedule: How long and how fast to train.
        **options: Settings of DPOConfig, which include `beta` and `loss_type`.
    """

    def build(policy: ModelPolicy, arguments: dict[str, Any], callbacks: list[Any]) -> Trainer:
        moving = options.get("sync_ref_model", False)
        return DPOTrainer(
            policy.model,
            ref_model=ModelPolicy.load(context.sft, "cpu").model if moving else None,
            args=DPOConfig(**arguments | IN_ORDER | options, precompute_ref_log_probs=not moving),
            train_dataset=Dataset.from_list(pair_rows(context, schedule, policy)),
            data_collator=on_our_tokens(
                DataCollatorForPreference(pad_token_id=policy.tokenizer.pad_token_id),
                ("prompt", "chosen", "rejected"),
            ),
            processing_class=policy.tokenizer,
            callbacks=callbacks,
        )

    return fit_by_trainer(context, schedule, build)


def fit_by_kto_trainer(context: Context, schedule: Schedule, **options: Any) -> ModelPolicy:
    """Train a fresh copy of the SFT policy on unpaired labels by TRL's KTOTrainer.

    Args:
        context: The context, with unpaired labels as its feedback.
        schedule: How long and how fast to train.
        **options: Settings of KTOConfig, which include `beta`.
    """

    def build(policy: ModelPolicy, arguments: dict[str, Any], callbacks: list[Any]) -> Trainer:
        return KTOTrainer(
            policy.model,
            args=KTOConfig(**arguments | IN_ORDER | options, precompute_ref_log_probs=True),
            train_dataset=Dataset.from_list(unpaired_rows(context, schedule, policy)),
            data_collator=on_our_tokens(
                DataCollatorForUnpairedPreference(pad_token_id=policy.tokenizer.pad_token_id),
                ("prompt", "completion", "KL_completion"),
            ),
            processing_class=policy.tokenizer,
            callbacks=callbacks,
        )

    return fit_by_trainer(context, schedule, build)


def pair_rows(context: Context, schedule: Schedule, policy: ModelPolicy) -> Rows:
    """Return the pairs of all steps in our order, as tokens, and as text that is not used."""
    pairs = context.feedback
    columns = {
        "prompt": encode_prompts(policy.tokenizer, [pair.prompt for pair in pairs]),
        "chosen": encode_responses(policy.tokenizer, [pair.chosen for pair in pairs]),
        "rejected": encode_responses(policy.tokenizer, [pair.rejected for pair in pairs]),
    }
    lengths = [1] * len(pairs)
    return [
        {f"our_{name}": tokens[row] for name, tokens in columns.items()}
        | dict.fromkeys(("prompt", "chosen", "rejected"), "a")
        for rows in training_rows(context, schedule, lengths)
        for row in rows
    ]


def unpaired_rows(context: Context, schedule: Schedule, policy: ModelPolicy) -> Rows:
    """Return the labels of all steps in our order, with the responses to other prompts.

    As in TRL, each prompt gets the response of the row before it in the batch, and the first prompt
    that of the last row.
    """
    labels = context.feedback
    prompts = encode_prompts(policy.tokenizer, [label.prompt for label in labels])
    completions = encode_responses(policy.tokenizer, [label.completion for label in labels])
    return [
        {
            "our_prompt": prompts[row],
            "our_completion": completions[row],
            "our_KL_completion": completions[rows[place - 1]],
            "prompt": "a",
            "completion": "a",
            "label": labels[row].label,
        }
        for rows in training_rows(context, schedule, [1] * len(labels))
        for place, row in enumerate(rows)
    ]


def on_our_tokens(
    collate: Callable[[Rows], dict[str, Any]], columns: tuple[str, ...]
) -> Callable[[Rows], dict[str, Any]]:
    """Return a collator of TRL that gets our tokens in place of the trainer's own.

    The trainer's own tokens have an end token even where a response was cut off.
    """
    return lambda rows: collate(
        [row | {f"{column}_ids": row[f"our_{column}"] for column in columns} for row in rows]
    )

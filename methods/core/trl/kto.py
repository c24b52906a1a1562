"""Training on unpaired labels with TRL's KTOTrainer."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from methods.core.feedback import Unpaired
from methods.core.models.policy import ModelPolicy
from methods.core.models.text import encode_prompts, encode_responses, render_prompt
from methods.core.training.context import Context
from methods.core.training.length_batching import rows_at_once
from methods.core.training.policy_trainer import fit_by_trainer
from methods.core.training.trainer import Schedule

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Trainer


def fit_by_kto_trainer(context: Context, schedule: Schedule, **options: Any) -> ModelPolicy:
    """Train a fresh copy of the SFT policy on unpaired labels.

    Args:
        context: The context, with unpaired labels as its feedback.
        schedule: How long and how fast to train.
        **options: Settings of KTOConfig.

    Returns:
        The trained policy.

    Raises:
        Diverged: A loss or a weight is not finite.
    """

    def build(policy: ModelPolicy, arguments: dict[str, Any], callbacks: list[Any]) -> Trainer:
        from datasets import Dataset
        from trl import KTOConfig, KTOTrainer

        # The trainer does not shuffle: it pairs prompts with the responses of their neighbors in a
        # batch. So the labels are shuffled here, in each pass anew.
        size = schedule.batch_size
        labels = passes(context.feedback, schedule.steps(context.budget) * size, context.seed)
        rows = unpaired_rows(policy.tokenizer, labels, size)
        config = KTOConfig(
            **arguments,
            precompute_ref_log_probs=True,
            precompute_ref_batch_size=rows_at_once(
                max(len(row["prompt_tokens"]) + len(row["response_tokens"]) for row in rows)
            ),
            max_length=None,
            **options,
        )
        return KTOTrainer(
            policy.model,
            args=config,
            train_dataset=Dataset.from_list(rows),
            data_collator=UnpairedCollator(policy.tokenizer.pad_token_id),
            processing_class=policy.tokenizer,
            callbacks=callbacks,
        )

    return fit_by_trainer(context, schedule, build)


def passes(labels: Sequence[Unpaired], count: int, seed: int) -> list[Unpaired]:
    """Return `count` labels, pass after pass, each pass in another order."""
    random = Random(f"passes {seed}")
    ordered: list[Unpaired] = []
    while len(ordered) < count:
        ordered += random.sample(labels, len(labels))
    return ordered[:count]


def unpaired_rows(
    tokenizer: PreTrainedTokenizerBase, labels: Sequence[Unpaired], batch_size: int
) -> list[dict[str, Any]]:
    """Return labels as rows of tokens, for the collator, and text, which the trainer requires.

    The KL is estimated from prompts with responses to other prompts. As in TRL, each prompt gets
    the response of the row before it in the batch, and the first prompt that of the last row.

    Args:
        tokenizer: The policy's tokenizer.
        labels: The labels, in the order of training.
        batch_size: Rows of a batch.
    """
    prompts = [label.prompt for label in labels]
    prompt_tokens = encode_prompts(tokenizer, prompts)
    tokens = encode_responses(tokenizer, [label.completion for label in labels])
    batches = [tokens[start : start + batch_size] for start in range(0, len(tokens), batch_size)]
    other_tokens = [response for batch in batches for response in [batch[-1], *batch[:-1]]]
    rendered = {prompt: render_prompt(tokenizer, prompt) for prompt in dict.fromkeys(prompts)}
    return [
        {
            "prompt": rendered[label.prompt],
            "completion": label.completion,
            "label": label.label,
            "prompt_tokens": prompt,
            "response_tokens": response,
            "other_tokens": other,
        }
        for label, prompt, response, other in zip(
            labels, prompt_tokens, tokens, other_tokens, strict=True
        )
    ]


class UnpairedCollator:
    """TRL's collator for unpaired labels, applied to our tokens.

    The trainer's own tokens have an end token even where a response was cut off.
    """

    def __init__(self, pad: int) -> None:
        from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference

        self._collate = DataCollatorForUnpairedPreference(pad_token_id=pad)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        columns = {
            "prompt_ids": "prompt_tokens",
            "completion_ids": "response_tokens",
            "KL_completion_ids": "other_tokens",
        }
        batch: dict[str, Any] = self._collate(
            [row | {theirs: row[ours] for theirs, ours in columns.items()} for row in rows]
        )
        return batch

"""Training on unpaired by TRL's KTOTrainer."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from methods.core.training.context import Context
from methods.core.feedback import Unpaired
from methods.core.training.length_batching import rows_at_once
from methods.core.models.policy import ModelPolicy
from methods.core.models.text import encode_prompts, encode_responses, render_prompt
from methods.core.training.policy_trainer import fit_by_trainer
from methods.core.training.trainer import Schedule

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Trainer


def fit_by_kto_trainer(context: Context, schedule: Schedule, **options: Any) -> ModelPolicy:
    """Train a fresh copy of the SFT policy on the unpaired; options: as in KTOConfig.

    Raises Diverged.
    """

    def build(policy: ModelPolicy, arguments: dict[str, Any], callbacks: list[Any]) -> Trainer:
        from datasets import Dataset
        from trl import KTOConfig, KTOTrainer

        # The trainer takes rows in the order given, for it pairs prompts with the responses of
        # their neighbors in a batch. So they are shuffled here, for each pass anew.
        size = schedule.batch_size
        unpaired = passes(context.feedback, schedule.steps(context.budget) * size, context.seed)
        rows = unpaired_rows(policy.tokenizer, unpaired, size)
        settings = KTOConfig(
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
            args=settings,
            train_dataset=Dataset.from_list(rows),
            data_collator=UnpairedCollator(policy.tokenizer.pad_token_id),
            processing_class=policy.tokenizer,
            callbacks=callbacks,
        )

    return fit_by_trainer(context, schedule, build)


def passes(labels: Sequence[Unpaired], count: int, seed: int) -> list[Unpaired]:
    """Return this many labels: pass after pass, each in an order of its own."""
    random, rows = Random(f"passes {seed}"), list[Unpaired]()
    while len(rows) < count:
        rows += random.sample(labels, len(labels))
    return rows[:count]


def unpaired_rows(
    tokenizer: PreTrainedTokenizerBase, labels: Sequence[Unpaired], batch_size: int
) -> list[dict[str, Any]]:
    """Return rows of tokens, for the collator, and of text, without which the trainer refuses.

    As with TRL's own, each prompt also gets the response before its own in the batch, and the first
    one the last: the KL is estimated on those.
    """
    prompts = [label.prompt for label in labels]
    prompt_tokens = encode_prompts(tokenizer, prompts)
    tokens = encode_responses(tokenizer, [label.completion for label in labels])
    batches = [tokens[start : start + batch_size] for start in range(0, len(tokens), batch_size)]
    others = [response for batch in batches for response in [batch[-1], *batch[:-1]]]
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
            labels, prompt_tokens, tokens, others, strict=True
        )
    ]


class UnpairedCollator:
    """TRL's collator on our tokens: the trainer's own have an end where a response was cut off."""

    def __init__(self, pad: int) -> None:
        from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference

        self._collate = DataCollatorForUnpairedPreference(pad_token_id=pad)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        theirs = {
            "prompt_ids": "prompt_tokens",
            "completion_ids": "response_tokens",
            "KL_completion_ids": "other_tokens",
        }
        batch: dict[str, Any] = self._collate(
            [row | {name: row[ours] for name, ours in theirs.items()} for row in rows]
        )
        return batch

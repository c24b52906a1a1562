"""Training on pairs by TRL's DPOTrainer, with any of its losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from methods.core.context import Context
from methods.core.feedback import Pair
from methods.core.policy import ModelPolicy
from methods.core.text import has_ended, render_prompt
from methods.core.trainers import fit_by_trainer
from methods.core.training import Schedule

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Trainer


def fit_by_dpo_trainer(
    context: Context, schedule: Schedule, *, beta: float, loss: str = "sigmoid", **options: Any
) -> ModelPolicy:
    """Train a fresh copy of the SFT policy on the pairs; loss, options: as in DPOConfig.

    Raises Diverged.
    """

    def build(policy: ModelPolicy, arguments: dict[str, Any], callbacks: list[Any]) -> Trainer:
        from datasets import Dataset
        from trl import DPOConfig, DPOTrainer

        settings = DPOConfig(
            **arguments,
            loss_type=[loss],
            beta=beta,
            precompute_ref_log_probs=True,
            precompute_ref_batch_size=256,
            max_length=None,
            **options,
        )
        return DPOTrainer(
            policy.model,
            args=settings,
            train_dataset=Dataset.from_list(pair_rows(policy.tokenizer, context.feedback)),
            data_collator=PairCollator(policy.tokenizer.pad_token_id),
            processing_class=policy.tokenizer,
            callbacks=callbacks,
        )

    return fit_by_trainer(context, schedule, build)


def pair_rows(
    tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Pair]
) -> list[dict[str, str | bool]]:
    """Return rows of text, the chat template applied, that say which responses ended."""
    prompts = {prompt: render_prompt(tokenizer, prompt) for prompt in {p.prompt for p in pairs}}
    return [
        {
            "prompt": prompts[pair.prompt],
            "chosen": pair.chosen,
            "rejected": pair.rejected,
            "chosen_ended": has_ended(tokenizer, pair.chosen),
            "rejected_ended": has_ended(tokenizer, pair.rejected),
        }
        for pair in pairs
    ]


class PairCollator:
    """TRL's collator, less the end token that the trainer adds to responses that were cut off."""

    def __init__(self, pad: int) -> None:
        from trl.trainer.dpo_trainer import DataCollatorForPreference

        self._collate = DataCollatorForPreference(pad_token_id=pad)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        def trimmed(row: dict[str, Any]) -> dict[str, Any]:
            sides = ("chosen", "rejected")
            return row | {
                f"{side}_ids": row[f"{side}_ids"][: None if row[f"{side}_ended"] else -1]
                for side in sides
            }

        batch: dict[str, Any] = self._collate([trimmed(row) for row in rows])
        return batch

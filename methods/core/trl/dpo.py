"""Training on pairs by TRL's DPOTrainer, with any of its losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from methods.core.models import distributed
from methods.core.models.policy import ModelPolicy
from methods.core.training.context import Context
from methods.core.training.length_batching import rows_at_once
from methods.core.training.policy_trainer import fit_by_trainer
from methods.core.training.trainer import Schedule
from methods.core.trl.pair_rows import Rows, pair_rows

if TYPE_CHECKING:
    from transformers import Trainer


def fit_by_dpo_trainer(
    context: Context, schedule: Schedule, *, beta: float, loss: str = "sigmoid", **options: Any
) -> ModelPolicy:
    """Train a fresh copy of the SFT policy on pairs.

    Args:
        context: The context, with pairs as its feedback.
        schedule: How long and how fast to train.
        beta: Strength of the divergence from the reference.
        loss: `loss_type` of DPOConfig.
        **options: Other settings of DPOConfig.

    Returns:
        The trained policy.

    Raises:
        Diverged: A loss or a weight is not finite.
    """

    def build(policy: ModelPolicy, arguments: dict[str, Any], callbacks: list[Any]) -> Trainer:
        from datasets import Dataset
        from trl import DPOConfig, DPOTrainer

        rows, order = pair_rows(context, schedule, policy.tokenizer)
        config = DPOConfig(
            **arguments,
            **order,
            loss_type=[loss],
            beta=beta,
            # The trainer writes them to a file that other processes cannot read.
            precompute_ref_log_probs=not distributed.is_distributed(),
            precompute_ref_batch_size=rows_at_once(2 * longest(rows)),
            max_length=None,
            **options,
        )
        return DPOTrainer(
            policy.model,
            args=config,
            train_dataset=Dataset.from_list(rows),
            data_collator=PairCollator(policy.tokenizer.pad_token_id),
            processing_class=policy.tokenizer,
            callbacks=callbacks,
        )

    return fit_by_trainer(context, schedule, build)


def longest(rows: Rows) -> int:
    """Return the length of the longest pair: its prompt and both responses, in tokens."""
    sides = ("prompt_tokens", "chosen_tokens", "rejected_tokens")
    return max(sum(len(row[side]) for side in sides) for row in rows)


class PairCollator:
    """TRL's collator for pairs, applied to our tokens."""

    def __init__(self, pad: int) -> None:
        from trl.trainer.dpo_trainer import DataCollatorForPreference

        self._collate = DataCollatorForPreference(pad_token_id=pad)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        sides = ("prompt", "chosen", "rejected")
        batch: dict[str, Any] = self._collate(
            [row | {f"{side}_ids": row[f"{side}_tokens"] for side in sides} for row in rows]
        )
        return batch

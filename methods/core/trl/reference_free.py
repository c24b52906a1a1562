"""Training on pairs with TRL's trainers that use no reference: CPOTrainer and ORPOTrainer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from methods.core.models.policy import ModelPolicy
from methods.core.training.context import Context
from methods.core.training.policy_trainer import fit_by_trainer
from methods.core.training.trainer import Schedule
from methods.core.trl.experimental import experimental
from methods.core.trl.pair_rows import pair_rows

if TYPE_CHECKING:
    from transformers import Trainer

# These trainers' log-probabilities are means over the tokens.
CURVES = {
    "loss": "loss",
    "rewards/margins": "reward_margin",
    "logps/chosen": "chosen_token_logp",
    "logps/rejected": "rejected_token_logp",
}


def fit_by_reference_free_trainer(
    context: Context, schedule: Schedule, name: str, **options: Any
) -> ModelPolicy:
    """Train a fresh copy of the SFT policy on pairs.

    Args:
        context: The context, with pairs as its feedback.
        schedule: How long and how fast to train.
        name: "CPO" or "ORPO".
        **options: Settings of the trainer's config.

    Returns:
        The trained policy.

    Raises:
        Diverged: A loss or a weight is not finite.
        ImportError: The installed TRL has no such trainer.
    """
    module = experimental(name.lower())

    def build(policy: ModelPolicy, arguments: dict[str, Any], callbacks: list[Any]) -> Trainer:
        from datasets import Dataset

        rows, order = pair_rows(context, schedule, policy.tokenizer)
        trainer: Trainer = getattr(module, f"{name}Trainer")(
            policy.model,
            args=getattr(module, f"{name}Config")(**arguments, **order, **options),
            train_dataset=Dataset.from_list(rows),
            data_collator=TokenCollator(policy.tokenizer.pad_token_id),
            processing_class=policy.tokenizer,
            callbacks=callbacks,
        )
        return trainer

    return fit_by_trainer(context, schedule, build, CURVES)


class TokenCollator:
    """TRL's collator, applied to our tokens.

    The trainer's own tokens have an end token even where a response was cut off, and are cut at its
    max_length.
    """

    def __init__(self, pad: int) -> None:
        self._collate = experimental("utils").DPODataCollatorWithPadding(pad_token_id=pad)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = self._collate([self._columns(row) for row in rows])
        return batch

    @staticmethod
    def _columns(row: dict[str, Any]) -> dict[str, list[int]]:
        """Return the columns that TRL's collator expects; -100 marks tokens without a loss."""
        columns = {}
        for side in ("chosen", "rejected"):
            prompt, response = row["prompt_tokens"], row[f"{side}_tokens"]
            columns[f"{side}_input_ids"] = [*prompt, *response]
            columns[f"{side}_attention_mask"] = [1] * (len(prompt) + len(response))
            columns[f"{side}_labels"] = [-100] * len(prompt) + [*response]
        return columns

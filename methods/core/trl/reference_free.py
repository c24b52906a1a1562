"""Training on pairs by the trainers of TRL that have no reference: CPOTrainer and ORPOTrainer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from methods.core.training.context import Context
from methods.core.trl.experimental import experimental
from methods.core.trl.pair_rows import pair_rows
from methods.core.models.policy import ModelPolicy
from methods.core.training.policy_trainer import fit_by_trainer
from methods.core.training.trainer import Schedule

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
    """Train a fresh copy of the SFT policy on the pairs; name: "CPO" or "ORPO".

    options: as in the trainer's config. Raises Diverged, and ImportError where TRL has no such
    trainer.
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
    """Lays out our tokens as TRL's collator lays out its own.

    Those that the trainer made from the text are left out: they have an end token where a response
    was cut off, and are cut themselves at the trainer's max_length.
    """

    def __init__(self, pad: int) -> None:
        self._collate = experimental("utils").DPODataCollatorWithPadding(pad_token_id=pad)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        def laid_out(row: dict[str, Any]) -> dict[str, list[int]]:
            columns = {}
            for side in ("chosen", "rejected"):
                asked, given = row["prompt_tokens"], row[f"{side}_tokens"]
                columns[f"{side}_input_ids"] = [*asked, *given]
                columns[f"{side}_attention_mask"] = [1] * (len(asked) + len(given))
                columns[f"{side}_labels"] = [-100] * len(asked) + [*given]
            return columns

        batch: dict[str, Any] = self._collate([laid_out(row) for row in rows])
        return batch

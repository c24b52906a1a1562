"""Training on pairs by TRL's DPOTrainer, with any of its losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from methods.core.context import Context
from methods.core.feedback import Pair
from methods.core.policy import ModelPolicy
from methods.core.text import has_ended, render_prompt
from methods.core.training import Diverged, Schedule, every_step, train_quietly

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


# What TRL calls the figures of its curves, and what we do.
CURVES = {
    "loss": "loss",
    "rewards/margins": "reward_margin",
    "logps/chosen": "chosen_logp",
    "logps/rejected": "rejected_logp",
}


def fit_by_dpo_trainer(
    context: Context, schedule: Schedule, *, beta: float, loss: str = "sigmoid", **options: Any
) -> ModelPolicy:
    """Train a fresh copy of the SFT policy on the pairs; loss, options: as in DPOConfig.

    Raises Diverged.
    """
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    policy = context.start()
    steps, size = schedule.steps(context.budget), schedule.batch_size
    if steps == 0:
        return policy
    arguments = DPOConfig(
        **context.trainer_arguments(policy.model),
        **schedule.arguments(context.budget),
        loss_type=[loss],
        beta=beta,
        precompute_ref_log_probs=True,
        precompute_ref_batch_size=256,
        max_length=None,
        **options,
    )
    trainer = train_quietly(
        lambda: DPOTrainer(
            policy.model,
            args=arguments,
            train_dataset=Dataset.from_list(pair_rows(policy.tokenizer, context.feedback)),
            data_collator=PairCollator(policy.tokenizer.pad_token_id),
            processing_class=policy.tokenizer,
            callbacks=[
                every_step(lambda step: context.checkpoint(step * size, steps * size, policy))
            ],
        )
    )
    log_curves(context, trainer.state.log_history, size)
    policy.model.eval()
    return policy


def log_curves(context: Context, history: Sequence[dict[str, float]], batch_size: int) -> None:
    """Keep the curves of one of TRL's pair trainers. Raises Diverged."""
    for entry in history:
        if "loss" not in entry:
            continue
        if not math.isfinite(entry["loss"]):
            raise Diverged(f"loss is {entry['loss']} at step {entry['step']}")
        point = {ours: float(entry[theirs]) for theirs, ours in CURVES.items() if theirs in entry}
        context.log(int(entry["step"]) * batch_size, **point)


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

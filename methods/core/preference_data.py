"""Preference pairs in the form that TRL's pair trainers read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from methods.core.feedback import Pair
from methods.core.text import has_ended, render_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


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

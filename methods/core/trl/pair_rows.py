"""Pairs as rows for trainers of TRL: our tokens, and the text without which they refuse.

Tokens that a trainer makes of text have an end where a response was cut off, may begin with a
second start token, and may be joined across the end of the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from methods.core.training.context import Context
from methods.core.feedback import Pair
from methods.core.training.length_batching import rows_in_order
from methods.core.models.text import encode_prompts, encode_responses, render_prompt
from methods.core.training.trainer import Schedule

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Rows = list[dict[str, Any]]


def pair_rows(
    context: Context, schedule: Schedule, tokenizer: PreTrainedTokenizerBase
) -> tuple[Rows, dict[str, Any]]:
    """Return the rows of all pairs, and what a trainer has to be told of their order."""
    rows = token_rows(tokenizer, context.feedback)
    sides = ("chosen_tokens", "rejected_tokens")
    lengths = [len(row["prompt_tokens"]) + max(len(row[side]) for side in sides) for row in rows]
    return rows_in_order(context, schedule, rows, lengths)


def token_rows(tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Pair]) -> Rows:
    """Return each pair as tokens and as text."""
    prompts = [pair.prompt for pair in pairs]
    columns = (
        encode_prompts(tokenizer, prompts),
        encode_responses(tokenizer, [pair.chosen for pair in pairs]),
        encode_responses(tokenizer, [pair.rejected for pair in pairs]),
    )
    rendered = {prompt: render_prompt(tokenizer, prompt) for prompt in dict.fromkeys(prompts)}
    return [
        {
            "prompt": rendered[pair.prompt],
            "chosen": pair.chosen,
            "rejected": pair.rejected,
            "prompt_tokens": asked,
            "chosen_tokens": chosen,
            "rejected_tokens": rejected,
        }
        for pair, asked, chosen, rejected in zip(pairs, *columns, strict=True)
    ]

"""Pairs as rows for TRL's trainers: our tokens, and the text that the trainers require.

A trainer's own tokens would be wrong in three ways: a cut-off response gets an end token, the
prompt may get a second start token, and a token may span the end of the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from methods.core.feedback import Pair
from methods.core.models.text import encode_prompts, encode_responses, render_prompt
from methods.core.training.context import Context
from methods.core.training.length_batching import rows_in_order
from methods.core.training.trainer import Schedule

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Rows = list[dict[str, Any]]


def pair_rows(
    context: Context, schedule: Schedule, tokenizer: PreTrainedTokenizerBase
) -> tuple[Rows, dict[str, Any]]:
    """Return all pairs as rows.

    Args:
        context: The context, with pairs as its feedback.
        schedule: How long to train.
        tokenizer: The policy's tokenizer.

    Returns:
        The rows, and arguments for the trainer's config that say how to order them.
    """
    rows = token_rows(tokenizer, context.feedback)
    sides = ("chosen_tokens", "rejected_tokens")
    lengths = [len(row["prompt_tokens"]) + max(len(row[side]) for side in sides) for row in rows]
    return rows_in_order(context, schedule, rows, lengths)


def token_rows(tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Pair]) -> Rows:
    """Return each pair as tokens and text."""
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
            "prompt_tokens": prompt,
            "chosen_tokens": chosen,
            "rejected_tokens": rejected,
        }
        for pair, prompt, chosen, rejected in zip(pairs, *columns, strict=True)
    ]

"""DPO learns, and trains on what its paper says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from helpers.methods import QUICK_DPO
from helpers.models import PROMPTS, SAMPLING

from methods.base import Context
from methods.core.feedback import Pair
from methods.dpo import DPO

MakeContext = Callable[..., Context]


def test_dpo_learns_a_trivial_preference(make_context: MakeContext) -> None:
    context = make_context()
    policy = QUICK_DPO.train(context)
    chosen, rejected = ["a a a"] * 3, ["b b b"] * 3

    def margin(of: object) -> list[float]:
        return [
            a - b
            for a, b in zip(
                of.logprobs(PROMPTS, chosen, SAMPLING),  # type: ignore[attr-defined]
                of.logprobs(PROMPTS, rejected, SAMPLING),  # type: ignore[attr-defined]
                strict=True,
            )
        ]

    grown = [a - b for a, b in zip(margin(policy), margin(context.reference), strict=True)]
    assert min(grown) > 2


def test_dpo_loss_at_the_reference_is_log_2(make_context: MakeContext) -> None:
    context = make_context()
    replace(QUICK_DPO, learning_rate=1e-12).train(context)
    assert context.curves[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)


def test_dpo_does_not_train_an_end_that_was_not_there(make_context: MakeContext) -> None:
    """Cut-off responses have no end token: its probability after them must not be touched."""
    context = make_context(labels=[Pair("a", "a b c", "c b a")] * 64)
    from methods.core.trl.dpo import PairCollator
    from methods.core.trl.pair_rows import token_rows

    tokenizer = context.reference.tokenizer
    row = token_rows(tokenizer, [Pair("a", "a b c", "c b </answer>")])[0]
    end = tokenizer.eos_token_id
    ids = {
        "prompt_ids": [3, 6, 4, 5],
        # As DPOTrainer's own preparation gives them: an end token on both.
        "chosen_ids": [*tokenizer("a b c")["input_ids"], end],
        "rejected_ids": [*tokenizer("c b")["input_ids"], end],
    }
    batch = PairCollator(tokenizer.pad_token_id)([ids | row])
    assert batch["completion_mask"].sum(1).tolist() == [3, 3]
    assert (batch["input_ids"] == end).sum(1).tolist() == [0, 1]


def test_beta_is_no_coefficient_of_the_kl_where_something_else_holds_the_policy() -> None:
    assert DPO().strength_is_kl
    assert not DPO(divergence="js_divergence").strength_is_kl

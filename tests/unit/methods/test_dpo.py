"""DPO learns. Its losses are compared with TRL's in test_against_trl.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from helpers.methods import QUICK_DPO
from helpers.models import PROMPTS, SAMPLING

from methods.base import Context
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


def test_beta_is_no_coefficient_of_the_kl_where_something_else_holds_the_policy() -> None:
    assert DPO().strength_is_kl
    assert not DPO(divergence="js_divergence").strength_is_kl

"""DPO learns. Its losses are compared with TRL's in test_against_trl.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from helpers.methods import QUICK_DPO
from helpers.models import PROMPTS, SAMPLING

from methods.base import Context
from methods.core.training.logprobs import PairLogprobs
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


@pytest.mark.parametrize("divergence", ["forward_kl", "alpha_divergence"])
def test_losses_are_finite_at_extreme_ratios(divergence: str) -> None:
    method = DPO(divergence=divergence, alpha=0.1)  # type: ignore[arg-type]
    ratios = torch.tensor([-400.0, 400.0], requires_grad=True)
    zeros = torch.zeros(2)
    losses = method.loss(PairLogprobs(ratios, -ratios, zeros, zeros))
    losses.sum().backward()
    assert losses.isfinite().all()
    assert ratios.grad is not None
    assert ratios.grad.isfinite().all()

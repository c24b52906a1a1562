"""Losses of online methods, against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from methods.core.online.surrogates import (
    Average,
    average,
    clipped_surrogate,
    kl_estimate,
    policy_metrics,
    value_loss,
)

T = torch.tensor


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    # Clipped where the step would go further in the advantage's direction, and only there.
    [(1.5, 1.0, -1.2), (0.5, 1.0, -0.5), (1.5, -1.0, 1.5), (0.5, -1.0, 0.8), (1.0, 2.0, -2.0)],
)
def test_clipped_surrogate_by_hand(ratio: float, advantage: float, expected: float) -> None:
    losses = clipped_surrogate(T([[ratio]]).log(), T([[0.0]]), T([[advantage]]), clip=0.2)
    assert losses.tolist() == [[pytest.approx(expected)]]


def test_the_upper_clip_may_differ_from_the_lower() -> None:
    ratios, advantages = T([[1.5, 1.25, 0.5]]), T([[1.0, 1.0, -1.0]])
    losses = clipped_surrogate(ratios.log(), 0 * ratios, advantages, clip=0.2, clip_high=0.28)
    assert losses.tolist() == [pytest.approx([-1.28, -1.25, 0.8])]


def test_there_is_no_gradient_where_the_ratio_is_clipped() -> None:
    new = T([[0.5, 0.0]], requires_grad=True)
    clipped_surrogate(new, torch.zeros(1, 2), T([[1.0, 1.0]]), clip=0.2).sum().backward()
    assert new.grad is not None
    assert new.grad.tolist() == [[0.0, pytest.approx(-1.0)]]


def test_value_loss_by_hand() -> None:
    # Value 2, old 0, clip .5 -> .5; target 1: max((2-1)^2, (.5-1)^2) / 2 = .5. Second: (1-1)^2 = 0.
    losses = value_loss(T([[2.0, 1.0]]), T([[0.0, 1.0]]), T([[1.0, 1.0]]), clip=0.5)
    assert losses.tolist() == [[pytest.approx(0.5), 0.0]]
    # A value that has moved too far counts by its clipped place, if that is worse.
    assert value_loss(T([[3.0]]), T([[0.0]]), T([[3.0]]), clip=1.0).tolist() == [[2.0]]


def test_the_kl_estimate_is_never_negative_and_is_the_kl_on_average() -> None:
    policy, reference = T([[0.5, 0.3, 0.2]]).log(), T([[0.2, 0.2, 0.6]]).log()
    estimates = kl_estimate(policy, reference)
    assert float(estimates[0, 0]) == pytest.approx(0.4 - 1 + math.log(2.5))
    assert bool((estimates >= 0).all()) and float(kl_estimate(policy, policy).sum()) == 0
    exact = float((policy.exp() * (policy - reference)).sum())
    assert float((policy.exp() * estimates).sum()) == pytest.approx(exact)


@pytest.mark.parametrize(
    ("over", "expected"),
    # Two responses, of 1 and of 3 tokens, of at most 4.
    [("tokens", (8 + 1 + 2 + 3) / 4), ("responses", (8 + 2) / 2), ("length", (8 / 4 + 6 / 4) / 2)],
)
def test_average_by_hand(over: Average, expected: float) -> None:
    losses = T([[8.0, 99.0, 99.0], [1.0, 2.0, 3.0]])
    mask = T([[True, False, False], [True, True, True]])
    assert float(average(losses, mask, over, longest=4)) == pytest.approx(expected)


def test_policy_metrics_by_hand() -> None:
    ratios, mask = T([[1.25, 0.7, 1.0, 50.0]]), T([[True, True, True, False]])
    metrics = policy_metrics(ratios.log(), 0 * ratios, mask, clip=0.2)
    # The old policy sampled the tokens: r - 1 - log r, with r the ratio of new to old.
    kl = ((0.25 - math.log(1.25)) + (-0.3 - math.log(0.7))) / 3
    assert {name: float(value) for name, value in metrics.items()} == {
        "approx_kl": pytest.approx(kl),
        "clip_fraction": pytest.approx(2 / 3),
    }
    wider = policy_metrics(ratios.log(), 0 * ratios, mask, clip=0.2, clip_high=0.28)
    assert float(wider["clip_fraction"]) == pytest.approx(1 / 3)

"""The method passes the conformance checks, and its loss is a squared hinge."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bench.testing import parametrize_with_checks
from methods.base import Method
from methods.toolkit.offline import PairLogprobs
from prefrontier_hinge import SquaredHinge


@parametrize_with_checks(["squared_hinge"])
def test_conforms(method: type[Method], check: Callable[[type[Method]], None]) -> None:
    check(method)


def test_loss_is_zero_from_the_target_on() -> None:
    chosen = torch.tensor([-3.0, -1.0, 0.0])
    others = torch.full((3,), -2.0)
    logprobs = PairLogprobs(chosen, others, others, others)
    losses = SquaredHinge(beta=1.0, target=2.0).loss(logprobs)
    # The margins are -1, 1 and 2.
    assert losses.tolist() == pytest.approx([9.0, 1.0, 0.0])

"""BCO's shift, by hand. Its loss without shift is compared with TRL's in test_against_trl.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from methods.base import Context
from methods.bco import BCO, RewardShift
from methods.toolkit.offline import UnpairedLogprobs

MakeContext = Callable[..., Context]


def test_the_shift_is_the_midpoint_of_the_classes_means_so_far() -> None:
    shift = RewardShift(0.5)
    ratios, liked = torch.tensor([4.0, 2.0, -2.0]), torch.tensor([True, True, False])
    assert float(shift.update(1, ratios, liked)) == pytest.approx((1.5 - 1.0) / 2)
    later = torch.tensor([-4.0]), torch.tensor([False])
    assert float(shift.update(2, *later)) == pytest.approx((1.5 - 1.5) / 2)


def test_a_step_that_is_repeated_counts_once() -> None:
    once, twice = RewardShift(1.0), RewardShift(1.0)
    batches = [(torch.tensor([float(i), -2.0]), torch.tensor([True, False])) for i in range(3)]
    for step, batch in enumerate(batches, 1):
        expected = once.update(step, *batch)
        twice.update(step, *batch)
        assert torch.equal(twice.update(step, *batch), expected)


def test_the_loss_by_hand() -> None:
    batch = UnpairedLogprobs(
        torch.tensor([1.0, 1.0]), torch.tensor([-3.0, -3.0]), torch.tensor([True, False]), shift=0.5
    )
    # log(1 + e^-1.5) where liked, log(1 + e^1.5) where not.
    assert BCO(beta=0.5).loss(batch).tolist() == pytest.approx([0.2014133, 1.7014133])


def test_a_training_uses_its_own_shift(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """beta and the batch's own shift enter; nothing is left over from an earlier training."""
    seen: list[Callable[..., torch.Tensor]] = []
    monkeypatch.setattr(
        "methods.bco.fit_unpaired", lambda context, loss, schedule, shift: seen.append(shift)
    )
    method, context = BCO(beta=0.5), make_context()
    method.train(context)
    method.train(context)
    both = seen[0](1, torch.tensor([2.0, -2.0]), torch.tensor([True, False]))
    alone = seen[1](1, torch.tensor([1.0]), torch.tensor([True]))
    assert (float(both), float(alone)) == pytest.approx((0.0, 0.25))

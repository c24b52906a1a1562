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
    shift = RewardShift()
    first = shift.update(torch.tensor([2.0, 1.0, -1.0]), torch.tensor([True, True, False]))
    assert float(first) == pytest.approx((1.5 - 1.0) / 2)
    second = shift.update(torch.tensor([-2.0], requires_grad=True), torch.tensor([False]))
    assert float(second) == pytest.approx((1.5 - 1.5) / 2) and not second.requires_grad


def test_the_loss_by_hand() -> None:
    batch = UnpairedLogprobs(
        torch.tensor([1.0, 1.0]), torch.tensor([-3.0, -3.0]), torch.tensor([True, False])
    )
    # log(1 + e^-1.5) where liked, log(1 + e^1.5) where not.
    losses = BCO(beta=0.5).loss(batch, shift=0.5)
    assert losses.tolist() == pytest.approx([0.2014133, 1.7014133])


def test_a_training_uses_its_own_shift(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """beta and the batch's own shift enter; nothing is left over from an earlier training."""
    seen: list[Callable[[UnpairedLogprobs], torch.Tensor]] = []
    monkeypatch.setattr(
        "methods.bco.fit_unpaired", lambda context, loss, schedule: seen.append(loss)
    )
    method, context = BCO(beta=0.5), make_context()
    method.train(context)
    method.train(context)
    batch = UnpairedLogprobs(
        torch.tensor([-1.0, -3.0]), torch.tensor([-3.0, -1.0]), torch.tensor([True, False])
    )
    unbalanced = UnpairedLogprobs(torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor([True]))
    # Rewards 1 and -1, shift 0: log(1 + e^-1). Alone, 0.5 with shift 0.25: log(1 + e^-0.25).
    assert seen[0](batch).tolist() == pytest.approx([0.3132617, 0.3132617])
    assert seen[1](unbalanced).tolist() == pytest.approx([0.5759394])

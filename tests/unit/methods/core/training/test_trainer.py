"""Schedules of trainers."""

from __future__ import annotations

import pytest

from methods.core.training.trainer import whole_batches


def test_whole_batches_fit_into_the_budget_or_raise() -> None:
    assert whole_batches(10, 100, 4) == 2 and whole_batches(100, 10, 4) == 2
    assert whole_batches(10, 0, 4) == 0
    for wanted, budget in ((3, 100), (100, 3)):
        with pytest.raises(ValueError, match="3 examples or episodes are too few for a batch of 4"):
            whole_batches(wanted, budget, 4)

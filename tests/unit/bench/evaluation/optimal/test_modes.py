"""The modes are the fewest responses that hold half of the optimal policy."""

from __future__ import annotations

import numpy as np
import pytest

from bench.evaluation.optimal.modes import mass, modes


def test_modes_by_hand() -> None:
    optimum = np.array([[0.1, 0.45, 0.25, 0.2], [0.7, 0.1, 0.1, 0.1]])
    selected = modes(optimum)
    assert selected.tolist() == [[False, True, True, False], [True, False, False, False]]
    assert mass(optimum, selected) == pytest.approx((0.7 + 0.7) / 2)
    assert mass(np.full((2, 4), 0.25), selected) == pytest.approx((0.5 + 0.25) / 2)


def test_without_any_one_mode_they_would_not_hold_half() -> None:
    optimum = np.random.default_rng(0).dirichlet(np.full(50, 0.3), size=20)
    selected = modes(optimum)
    held = (optimum * selected).sum(1)
    least = np.where(selected, optimum, np.inf).min(1)
    assert (held >= 0.5).all() and (held - least < 0.5).all()
    assert (np.where(selected, 0.0, optimum).max(1) <= least).all()

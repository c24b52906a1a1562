"""The modes hold half of the optimum, and no fewer responses would."""

from __future__ import annotations

import numpy as np
import pytest

from bench.evaluation.optimal.modes import mass, modes


def test_modes_by_hand() -> None:
    optimum = np.array([[0.1, 0.45, 0.25, 0.2], [0.7, 0.1, 0.1, 0.1]])
    found = modes(optimum)
    assert found.tolist() == [[False, True, True, False], [True, False, False, False]]
    assert mass(optimum, found) == pytest.approx((0.7 + 0.7) / 2)
    assert mass(np.full((2, 4), 0.25), found) == pytest.approx((0.5 + 0.25) / 2)


def test_one_mode_less_would_not_hold_half() -> None:
    optimum = np.random.default_rng(0).dirichlet(np.full(50, 0.3), size=20)
    found = modes(optimum)
    held = (optimum * found).sum(1)
    least = np.where(found, optimum, np.inf).min(1)
    assert (held >= 0.5).all() and (held - least < 0.5).all()
    assert (np.where(found, 0.0, optimum).max(1) <= least).all()

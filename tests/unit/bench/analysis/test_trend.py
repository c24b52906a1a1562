"""Slopes over the levels of a factor."""

from __future__ import annotations

import numpy as np
import pytest

from bench.analysis.statistics import slopes


def test_slopes_are_those_of_fitted_lines() -> None:
    values = np.random.default_rng(0).normal(size=(5, 4))
    levels = [3.0, 1.0, 4.5, 1.0]
    expected = np.polyfit(levels, values.T, 1)[0]
    assert slopes(levels, values) == pytest.approx(expected)


def test_a_seeds_mean_has_no_part_in_its_slope() -> None:
    line = np.array([10.0, 12.0, 14.0])
    assert slopes([0, 1, 2], np.array([line, line - 100])) == pytest.approx([2, 2])


@pytest.mark.parametrize("levels", [[2.0, 2.0], [2.0], [1.0, 2.0, 3.0]])
def test_levels_without_a_slope_are_refused(levels: list[float]) -> None:
    with pytest.raises(ValueError, match="no slope"):
        slopes(levels, np.zeros((3, 2)))

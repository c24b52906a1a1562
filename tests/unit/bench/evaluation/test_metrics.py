"""Win rates and other metrics, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bench.evaluation.metrics import ClusteredMean, DistinctN, WinRate
from bench.evaluation.win_rate import weighted_win_rate


def test_win_rate_by_hand_and_with_the_sides_swapped() -> None:
    assert weighted_win_rate(np.array([1.0, 3.0]), np.array([2.0, 3.0])) == pytest.approx(0.375)
    assert weighted_win_rate(np.array([2.0, 3.0]), np.array([1.0, 3.0])) == pytest.approx(0.625)
    weighted = weighted_win_rate(np.array([1.0, 3.0]), np.array([2.0]), np.array([0.9, 0.1]))
    assert weighted == pytest.approx(0.1)
    result = WinRate().compute(predictions=[[1.0, 3.0], [0.0]], references=[[2.0, 3.0], [0.0]])
    assert result["win_rate"] == pytest.approx((0.375 + 0.5) / 2)


def test_clustered_mean_by_hand() -> None:
    result = ClusteredMean().compute(predictions=[1.0, 3.0, 10.0, 20.0], references=[0, 0, 1, 1])
    assert result["mean"] == pytest.approx(8.5)
    assert result["sem"] == pytest.approx(np.std([2, 15], ddof=1) / 2**0.5)


def test_distinct_2_by_hand() -> None:
    result = DistinctN().compute(predictions=["a b a b", "b a"], n=2)
    assert result["distinct"] == pytest.approx(2 / 4)

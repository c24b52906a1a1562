"""Shares with their intervals."""

from __future__ import annotations

import pytest
from scipy import stats

from bench.calibration.summary import share


def test_a_share_has_clopper_and_pearsons_interval() -> None:
    found = share(6, 200)
    assert found["share"] == 0.03
    expected = stats.beta.ppf(0.025, 6, 195), stats.beta.ppf(0.975, 7, 194)
    assert (found["low"], found["high"]) == pytest.approx(expected)
    assert share(0, 50)["low"] == 0.0

"""Win rates from votes."""

from __future__ import annotations

import math

from bench.judging.metrics import Judged, metrics
from bench.judging.verdicts import Vote


def test_there_is_no_length_controlled_rate_if_equal_length_is_out_of_range() -> None:
    judged = [Judged(str(i), "longer " * (2 + i), "x", Vote("first", "second")) for i in range(9)]
    rates = metrics(judged)
    assert (rates["win_rate"], rates["wins"]) == (1.0, 9)
    assert math.isnan(rates["win_rate_lc"])

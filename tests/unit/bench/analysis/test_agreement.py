"""How often judges agree with people: intervals of shares."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from scipy.stats import binomtest

from bench.analysis.agreement import language_model_agreement, wilson_interval


@pytest.mark.parametrize(("wins", "count"), [(0, 16), (1, 3), (24, 38), (16, 16)])
def test_the_interval_of_whole_wins_is_wilsons(wins: int, count: int) -> None:
    expected = binomtest(wins, count).proportion_ci(method="wilson")
    assert wilson_interval(wins / count, count) == pytest.approx(tuple(expected), abs=1e-12)


def test_half_a_win_moves_the_interval_by_half() -> None:
    # A tie between 8 and 9 wins of 16: its interval is that of 53.1%, not of 50%.
    row = pd.Series({"wins": 8, "ties": 1, "losses": 7, "win_rate": 8.5 / 16})
    agreement = language_model_agreement(row)
    (low, _), (next_low, _) = wilson_interval(8 / 16, 16), wilson_interval(9 / 16, 16)
    assert low < agreement.low < next_low
    assert agreement.preferences == 16
    # Swapped, the interval is the mirror image.
    mirrored = language_model_agreement(row.replace({8.5 / 16: 7.5 / 16}))
    assert mirrored.low == pytest.approx(1 - agreement.high)


def test_without_comparisons_there_is_no_agreement() -> None:
    row = pd.Series({"wins": 0, "ties": 0, "losses": 0, "win_rate": math.nan})
    assert math.isnan(language_model_agreement(row).low)

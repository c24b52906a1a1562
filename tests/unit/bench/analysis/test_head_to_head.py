"""Win rates with their errors, at equal length, and as strengths."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.synthetic import make_runs, write_folder
from helpers.synthetic_design import GRID
from scipy.special import logit

from bench.analysis.head_to_head import strengths, win_rates
from bench.analysis.statistics import two_way_error
from bench.evaluation.win_rate import length_controlled
from bench.results.loading import Results, load_results
from bench.results.schema import HEAD_TO_HEAD


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """One task, five methods, six seeds, one declared contrast."""
    runs = make_runs(["polite"], list(GRID), 6)
    return load_results(write_folder(tmp_path_factory.mktemp("run"), runs, [("dpo", "ppo")]))


def test_win_rates_have_clustered_errors_and_one_at_equal_length(results: Results) -> None:
    first, *others = win_rates(results, "polite")
    assert [rate.opponent for rate in (first, *others)] == ["ppo"] + ["sft"] * 4
    rows = results.head_to_head.query("method == 'dpo' and opponent == 'ppo'")
    error = two_way_error(*(rows[name].to_numpy() for name in ("win_rate", "seed", "prompt")))
    longer = (rows["tokens"] - rows["opponent_tokens"]).to_numpy()
    equal = length_controlled(rows["win_rate"].to_numpy(), longer, list(rows["prompt"]))
    assert (first.rate, first.error) == pytest.approx((rows["win_rate"].mean(), error))
    assert first.length_controlled == pytest.approx(equal)


def test_a_method_that_is_always_longer_has_no_rate_at_equal_length(results: Results) -> None:
    frame = results.head_to_head
    longer = replace(results, head_to_head=frame.assign(tokens=frame["opponent_tokens"] + 1))
    [before, *_], [after, *_] = win_rates(results, "polite"), win_rates(longer, "polite")
    assert after.rate == before.rate and math.isnan(after.length_controlled)


def test_all_methods_are_on_one_scale(results: Results) -> None:
    fitted = strengths(results, "polite")
    assert fitted is not None and len(fitted.intervals) == 5
    first, *_, last = fitted.intervals
    assert (first, last) == ("ppo_gold", "sft")


def test_two_methods_need_no_scale(results: Results) -> None:
    frame, two = results.head_to_head, ["dpo", "ppo"]
    frame = frame[frame["method"].isin(two) & frame["opponent"].isin(two)]
    assert strengths(replace(results, head_to_head=frame), "polite") is None


def test_strengths_are_those_of_the_mean_win_rates(results: Results) -> None:
    frame = results.head_to_head
    # Neighbors are at odds of 2 to 1: dpo beats ppo, and ppo beats sft.
    place = {"dpo": 1.0, "ppo": 0.0, "sft": -1.0}
    frame = frame[frame["method"].isin(place) & frame["opponent"].isin(place)].copy()
    apart = frame["method"].map(place) - frame["opponent"].map(place)
    frame["win_rate"] = 1 / (1 + 2.0**-apart)
    fitted = strengths(replace(results, head_to_head=frame), "polite")
    assert fitted is not None
    first, middle, last = fitted.intervals.values()
    distance = float(logit(2 / 3))
    assert list(fitted.intervals) == ["dpo", "ppo", "sft"]
    for interval, expected in ((first, distance), (middle, 0.0), (last, -distance)):
        assert np.array(interval[:3]) == pytest.approx([expected] * 3, abs=1e-4)
    assert fitted.largest_error < 5e-4


def test_head_to_head_of_earlier_results_counts_as_one_prompt(results: Results) -> None:
    keys = ["task", "seed", "method", "opponent"]
    earlier = results.head_to_head.groupby(keys, as_index=False, sort=False)["win_rate"].mean()
    earlier_results = replace(results, head_to_head=HEAD_TO_HEAD.typed(earlier))
    [first, *_] = win_rates(earlier_results, "polite")
    assert math.isnan(first.length_controlled) and math.isnan(first.tokens)
    assert math.isfinite(first.error)
    fitted = strengths(earlier_results, "polite")
    assert fitted is not None and len(fitted.intervals) == 5

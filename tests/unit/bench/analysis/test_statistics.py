"""Intervals and tests against scipy and values worked out by hand."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from bench.analysis.statistics import (
    SIGNIFICANCE,
    area_share,
    best_of_k,
    collapses,
    holm,
    iqm,
    mean_interval,
    probability_of_improvement,
    reward_within,
    seeds_for_verdict,
    sign_flip_p,
    sign_flip_ps,
    stratified_bootstrap,
    two_way_error,
    verdict,
    welch_interval,
)


def test_the_interval_is_scipys() -> None:
    values = [1.0, 2.5, 2.0, 4.0, 3.5]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    interval = mean_interval(values, level=0.9)
    assert interval.mean == pytest.approx(2.6)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert interval.n == 5


def test_few_values_have_no_interval() -> None:
    assert mean_interval([3.0]).mean == 3.0
    assert math.isnan(mean_interval([3.0]).half_width)
    assert math.isnan(mean_interval([]).mean)


def test_welchs_interval_is_scipys() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(0, 1, 6), random.normal(1, 5, 4)
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    interval = welch_interval(a.tolist(), b.tolist())
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert interval.mean == pytest.approx(a.mean() - b.mean())


def test_welchs_interval_of_few_or_equal_values() -> None:
    assert welch_interval([3.0, 3.0], [1.0, 1.0]) == (2, 2, 2, 4)
    assert welch_interval([3.0], [1.0, 2.0]).mean == 1.5
    assert math.isnan(welch_interval([3.0], [1.0, 2.0]).low)
    assert math.isnan(welch_interval([], [1.0]).mean)


def test_the_interval_covers_what_it_claims() -> None:
    random = np.random.default_rng(1)
    intervals = [mean_interval(random.normal(size=5).tolist()) for _ in range(1000)]
    covered = sum(interval.low < 0 < interval.high for interval in intervals)
    assert 0.93 < covered / 1000 < 0.97


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1.0] * 6, 2 / 64),
        ([1.0] * 5, 2 / 32),
        # |sum| >= 2 for all but the two patterns that sum to 0: (+1, +1, -2) and its mirror.
        ([1.0, 1.0, 2.0], 2 / 8),
        ([1.0, 1.0, -2.0], 1.0),
        ([0.0, 0.0], 1.0),
    ],
)
def test_sign_flips_by_hand(differences: list[float], p: float) -> None:
    assert sign_flip_p(differences) == pytest.approx(p)


def test_sign_flips_agree_with_scipy() -> None:
    data = np.random.default_rng(3).normal(0.4, 1, size=9)
    test = stats.permutation_test(
        (data,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=False
    )
    assert sign_flip_p(data.tolist()) == pytest.approx(test.pvalue)


def test_many_differences_are_drawn_from() -> None:
    exact = np.random.default_rng(5).normal(0.3, 1, size=16).tolist()
    drawn = [*exact, 1e-12]
    assert sign_flip_p(drawn) == pytest.approx(sign_flip_p(exact), abs=0.01)
    assert 0 < sign_flip_p([1.0] * 40) < 1e-4
    assert sign_flip_p(drawn) == sign_flip_p(drawn)


def test_a_method_against_itself_is_rarely_different() -> None:
    random = np.random.default_rng(2)
    ps = [sign_flip_p(random.normal(size=6).tolist()) for _ in range(500)]
    assert sum(p < 0.05 for p in ps) / 500 < 0.06


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([1.0, 1.1, 0.9, 1.2, 0.8, 1.0], "better"),
        ([-1.0, -1.1, -0.9, -1.2, -0.8, -1.0], "worse"),
        ([1.0, 1.1, 0.9, 1.2, 0.8], "too few seeds"),
        ([], "too few seeds"),
        ([1.0, 1.1, -0.9, 1.2, -0.8, 1.0], "none"),
        # All seeds agree, so p is 0.031, but one of them makes nearly all of the difference.
        ([0.01, 0.01, 0.01, 0.01, 0.01, 3.0], "none"),
        ([0.0] * 6, "none"),
    ],
)
def test_a_verdict_needs_seeds_test_and_interval(differences: list[float], expected: str) -> None:
    assert verdict(differences) == expected


def test_a_corrected_p_overrules_the_test() -> None:
    differences = [1.0, 1.1, 0.9, 1.2, 0.8, 1.0]
    assert verdict(differences, 0.04) == "better"
    assert verdict(differences, 0.0625) == "none"
    assert verdict(differences, math.nan) == "none"


def test_a_method_against_itself_gets_a_verdict_at_most_5_times_in_100() -> None:
    random = np.random.default_rng(4)
    verdicts = [verdict(random.normal(size=6).tolist()) for _ in range(1000)]
    assert verdicts.count("none") > 940


@pytest.mark.parametrize("contrasts", [1, 2, 3, 10])
def test_as_many_seeds_as_holm_needs_and_no_fewer(contrasts: int) -> None:
    def smallest(seeds: int) -> float:
        ps = {str(i): 1.0 for i in range(contrasts - 1)}
        return holm({"best": sign_flip_p([1.0] * seeds), **ps})["best"]

    seeds = seeds_for_verdict(contrasts)
    assert smallest(seeds) < SIGNIFICANCE
    assert smallest(seeds - 1) >= SIGNIFICANCE or seeds == 6


def test_two_way_error_by_hand() -> None:
    # Rows 0 and 1 with means 0 and 2; columns without an effect: rows alone remain.
    values = np.array([-1.0, 1.0, 1.0, 3.0])
    rows, columns = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    # e = -2, 0, 0, 2. Rows: sums -2, 2; columns: sums -2, 2; cells: 8 / 16 * 4 / 3.
    expected = 2 * (8 / 16 * 2) - 8 / 16 * 4 / 3
    assert two_way_error(values, rows, columns) == pytest.approx(expected**0.5)
    assert two_way_error(values, rows, columns) == two_way_error(values, columns, rows)


def test_two_way_error_with_one_cluster_on_a_side_is_the_other_sides() -> None:
    values = np.array([1.0, 2.0, 4.0, 4.5])
    alone = two_way_error(values, np.arange(4), np.zeros(4))
    assert alone == pytest.approx(stats.sem(values))
    assert two_way_error(values, np.zeros(4), np.arange(4)) == pytest.approx(alone)
    assert math.isnan(two_way_error(values, np.zeros(4), np.zeros(4)))


def test_a_negative_variance_falls_back_to_the_larger_side() -> None:
    # Neither side varies, only the cells do: V_rows + V_columns - V_cells is below 0.
    values = np.array([1.0, -1.0, -1.0, 1.0, 0.5, -0.5])
    rows, columns = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 1, 0, 1])
    # Column sums of e: 0.5 and -0.5; row sums are 0.
    assert two_way_error(values, rows, columns) == pytest.approx((0.5 / 36 * 2) ** 0.5)


def test_two_way_error_covers_where_one_way_does_not() -> None:
    random = np.random.default_rng(0)
    seeds, prompts, draws = 20, 30, 400
    rows, columns = np.divmod(np.arange(seeds * prompts), prompts)
    near = stats.t.ppf(0.975, seeds - 1)
    held = {"two": 0, "none": 0}
    for _ in range(draws):
        values = random.normal(0, 0.5, seeds)[rows] + random.normal(0, 0.5, prompts)[columns]
        values = values + random.normal(size=values.size)
        held["two"] += abs(values.mean()) < near * two_way_error(values, rows, columns)
        held["none"] += abs(values.mean()) < near * stats.sem(values)
    assert 0.92 < held["two"] / draws < 0.98
    assert held["none"] / draws < 0.6


def test_holm_by_hand() -> None:
    # Holm (1979): the least p counts for all contrasts, the next for one fewer, never falling.
    corrected = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert corrected == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert holm({"a": 0.7, "b": 0.9}) == {"a": 1.0, "b": 1.0}


def test_holm_holds_its_level_over_three_tasks_and_a_correction_for_each_does_not() -> None:
    differences = np.random.default_rng(0).normal(size=(3, 2000, 8))
    p_values = np.array([sign_flip_ps(of_task) for of_task in differences])
    assert p_values[0, 0] == sign_flip_p(differences[0, 0].tolist())
    corrected = [min(holm(dict(enumerate(ps))).values()) for ps in p_values.T.tolist()]
    noise = 3 * (0.05 * 0.95 / 2000) ** 0.5
    assert np.mean(np.array(corrected) < SIGNIFICANCE) < 0.05 + noise
    assert (p_values.min(0) < SIGNIFICANCE).mean() > 0.05 + noise


def test_probability_of_improvement_is_mann_whitneys() -> None:
    random = np.random.default_rng(0)
    ours = [random.integers(0, 5, size=7).astype(float), random.normal(size=6)]
    theirs = [random.integers(0, 5, size=9).astype(float), random.normal(size=5)]
    expected = np.mean(
        [
            stats.mannwhitneyu(a, b).statistic / (len(a) * len(b))
            for a, b in zip(ours, theirs, strict=True)
        ]
    )
    assert probability_of_improvement(ours, theirs) == pytest.approx(expected)
    assert probability_of_improvement(ours, ours) == pytest.approx(0.5)
    assert probability_of_improvement([ours[0] + 9], [theirs[0]]) == 1.0


def test_iqm_is_the_mean_of_the_middle_half() -> None:
    assert iqm([np.array([9.0, 1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0, 100.0])]) == 4.5
    for n in range(1, 12):
        data = np.random.default_rng(n).normal(size=n)
        assert iqm([data[:3], data[3:]]) == pytest.approx(stats.trim_mean(data, 0.25))


def test_the_stratified_bootstrap_covers_a_known_mean() -> None:
    random = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        scores = [random.normal(task, 1, size=10) for task in range(8)]
        interval = stratified_bootstrap(
            lambda tasks: float(np.mean([task.mean() for task in tasks])), scores, resamples=300
        )
        held += interval.low <= 3.5 <= interval.high
    assert 85 <= held <= 100


def test_collapses_are_runs_below_their_start_or_without_a_number() -> None:
    assert collapses([0.1, -0.1, 0.0, float("nan")]) == 2


def test_best_of_k_is_the_mean_over_all_draws_of_k_settings() -> None:
    validation, test = [3.0, 1.0, 2.0, 5.0, 4.0], [10.0, 20.0, 15.0, 12.0, 18.0]
    for k, value in enumerate(best_of_k(validation, test), start=1):
        taken = [max(drawn, key=lambda i: validation[i]) for drawn in combinations(range(5), k)]
        assert value == pytest.approx(np.mean([test[i] for i in taken]))


def test_settings_that_tie_on_validation_share_the_choice() -> None:
    assert best_of_k([1.0, 1.0], [0.0, 2.0]) == [1.0, 1.0]


def test_reward_within_a_kl_budget() -> None:
    kls, validation, test = [0.5, 2.0, 4.0], [1.0, 3.0, 2.0], [1.1, 2.5, 2.6]
    assert math.isnan(reward_within(kls, validation, test, 0.1))
    assert reward_within(kls, validation, test, 1.0) == 1.1
    # What validation selects counts, also where another has more reward on test prompts.
    assert reward_within(kls, validation, test, 9.0) == 2.5


def test_area_share_by_hand() -> None:
    frontier = [(0.0, 1.0), (4.0, 1.0 + 4.0)]
    # Above the start of 1 the frontier's area is 8; one setting of gain 1 from KL 2 on has 2.
    assert area_share([(2.0, 2.0)], frontier, 1.0) == pytest.approx(0.25, abs=1e-3)
    assert area_share([], frontier, 1.0) == 0.0
    # A setting below the reference, or one beyond the frontier's end, adds nothing.
    assert area_share([(1.0, 0.5), (5.0, 9.0)], frontier, 1.0) == 0.0

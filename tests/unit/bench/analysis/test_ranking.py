"""The ranking over all tasks against ranks and draws worked out by hand."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.sampled_prompts import TASK, recorded_results
from helpers.synthetic import fail, make_runs, small_results, write_folder
from scipy.stats import rankdata

from bench.analysis.ranking import (
    contenders,
    finished_pipelines,
    improvement,
    mean_ranks,
    normalized_gain,
    normalized_gains,
    places,
    prompt_rewards,
    seed_ranks,
)
from bench.analysis.selection import select_settings, selected_rows
from bench.results.loading import Results, load_results


def loaded(folder: Path, runs: pd.DataFrame) -> Results:
    return load_results(write_folder(folder, runs))


def test_ranks_are_by_reward_in_each_pipeline(tmp_path: Path) -> None:
    results = loaded(tmp_path, make_runs(["polite", "exact"], ["sft", "dpo", "ppo", "ppo_gold"], 4))
    ranks = seed_ranks(results)
    for task in ("polite", "exact"):
        rows = selected_rows(results.runs, task)
        rewards = rows.pivot(index="seed", columns="method", values="reward")
        rewards = rewards[["sft", "dpo", "ppo"]]
        expected = rankdata(-rewards.to_numpy(), axis=1).tolist()
        assert ranks[task].to_numpy().tolist() == expected


def test_a_failed_run_takes_no_rank_nor_does_a_method_that_was_not_run(tmp_path: Path) -> None:
    runs = make_runs(["polite", "exact"], ["sft", "dpo", "ppo", "best_of_n"], 3)
    lost = (runs["method"] == "ppo") & (runs["task"] == "polite") & (runs["seed"] == 1)
    absent = (runs["method"] == "best_of_n") & (runs["task"] == "exact")
    results = loaded(tmp_path, fail(runs, lost, "lost")[~absent])
    assert contenders(results) == ["sft", "dpo"]
    for ranks in seed_ranks(results).values():
        # PPO is best where it finished, and takes no place from the others.
        assert ranks["dpo"].tolist() == [1.0] * 3 and ranks["sft"].tolist() == [2.0] * 3
    assert finished_pipelines(results, "ppo") == (5, 6)


def test_a_run_that_failed_at_another_setting_costs_no_rank(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 2)
    selected = select_settings(runs, "polite")["ppo"]
    lost = (runs["method"] == "ppo") & (runs["params"] != selected)
    assert "ppo" in contenders(loaded(tmp_path, fail(runs, lost, "lost")))


def test_a_seed_that_no_method_finished_costs_no_rank(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 3)
    ranks = seed_ranks(loaded(tmp_path, fail(runs, runs["seed"] == 1, "no disk")))["polite"]
    assert list(ranks.index) == [0, 2] and list(ranks.columns) == ["sft", "dpo", "ppo"]


def test_equal_mean_ranks_share_a_place() -> None:
    ranks = {"task": pd.DataFrame({"a": [1.0, 2.0], "b": [2.0, 1.0], "c": [3.0, 3.0]})}
    assert places(mean_ranks(ranks)) == [1, 1, 3]


RANKS = {
    "few": pd.DataFrame({"a": [1.0, 2.0], "b": [2.0, 1.0], "c": [3.0, 3.0]}),
    "more": pd.DataFrame({"a": [1.0, 1.0, 3.0], "b": [2.0, 3.0, 1.0], "c": [3.0, 2.0, 2.0]}),
}


def enumerated() -> np.ndarray:
    """Return mean ranks for every way to draw the seeds of both tasks: 2^2 times 3^3."""
    means = []
    for ranks in RANKS.values():
        draws = product(range(len(ranks)), repeat=len(ranks))
        means.append([ranks.to_numpy()[list(draw)].mean(axis=0) for draw in draws])
    return np.array([(few + more) / 2 for few, more in product(*means)])


def test_mean_ranks_count_every_task_alike() -> None:
    a, b, c = ranked = mean_ranks(RANKS)
    assert [method.method for method in ranked] == ["a", "b", "c"]
    assert a.mean_rank.mean == pytest.approx((3 / 2 + 5 / 3) / 2)
    assert b.mean_rank.mean == pytest.approx((3 / 2 + 6 / 3) / 2)
    assert c.by_task == {"few": 3.0, "more": pytest.approx(7 / 3)}
    assert {method.mean_rank.n for method in ranked} == {5}


def test_intervals_and_the_probability_of_being_best_are_those_of_all_draws() -> None:
    every = enumerated()
    first = np.isclose(every, every.min(axis=1, keepdims=True))
    best = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)
    low, high = np.quantile(every, [0.025, 0.975], axis=0, method="inverted_cdf")
    ranked = sorted(mean_ranks(RANKS, resamples=40_000))
    assert [method.best for method in ranked] == pytest.approx(best.tolist(), abs=0.01)
    assert sum(method.best for method in ranked) == pytest.approx(1.0)
    assert [method.mean_rank.low for method in ranked] == pytest.approx(low.tolist(), abs=1e-9)
    assert [method.mean_rank.high for method in ranked] == pytest.approx(high.tolist(), abs=1e-9)


def test_one_seed_on_any_task_gives_no_interval() -> None:
    ranked = mean_ranks({"few": RANKS["few"].iloc[:1], "more": RANKS["more"]})
    for method in ranked:
        assert np.isnan([method.mean_rank.low, method.mean_rank.high, method.best]).all()
        assert np.isfinite(method.mean_rank.mean)


def test_gains_are_shares_of_each_seeds_own_frontier() -> None:
    gains = normalized_gains(small_results())
    assert gains["a"]["dpo"].tolist() == pytest.approx([1 / 4, 3 / 6])
    assert gains["b"]["dpo"].tolist() == pytest.approx([0.5, 0.0])


def test_the_mean_is_that_of_the_middle_half_of_all_runs() -> None:
    gains = normalized_gains(small_results())
    # Of 0, 1/4, 1/2 and 1/2.
    assert normalized_gain(gains, "dpo").mean == pytest.approx((1 / 4 + 1 / 2) / 2)
    assert normalized_gain(gains, "dpo").n == 4


def test_improvement_is_a_mean_over_tasks() -> None:
    gains = normalized_gains(small_results())
    # 4 of 4 pairs of seeds on a, and on b 3 of 4 with ties half.
    assert improvement(gains, "dpo", "sft").mean == pytest.approx((1 + 3 / 4) / 2)


def test_prompts_that_seeds_share_are_resampled() -> None:
    # On one prompt of two, dpo is better at every seed by less than ppo is on the other.
    ppo = np.array([[3.0, 0.0]] * 4)
    results = recorded_results({"dpo": np.ones_like(ppo), "ppo": ppo})
    ranks = seed_ranks(results)
    rewards = prompt_rewards(results, ranks)
    assert rewards[TASK].shape == (4, 2, 2)
    by_method = {method.method: method for method in mean_ranks(ranks, rewards, resamples=4000)}
    # All seeds agree; of four draws of prompts one has the second prompt alone.
    assert by_method["ppo"].mean_rank.mean == 1.0
    assert by_method["ppo"].best == pytest.approx(0.75, abs=0.03)
    assert by_method["ppo"].mean_rank.high == 2.0
    seeds_alone = {method.method: method for method in mean_ranks(ranks)}
    assert seeds_alone["ppo"].mean_rank.high == 1.0


def test_prompts_of_embedded_tasks_are_not_resampled(tmp_path: Path) -> None:
    results = loaded(tmp_path, make_runs(["polite"], ["sft", "dpo", "ppo"], 3))
    assert prompt_rewards(results, seed_ranks(results)) == {}

"""The data of the head-to-head tab."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.sampled_prompts import TASK, crossed_values, recorded_results
from helpers.synthetic import fail, make_results, make_runs, write_folder

from bench.analysis.contrasts import contrast, with_verdict
from bench.analysis.head_to_head import win_rates
from bench.analysis.selection import select_settings, selected_rewards
from bench.report.page.head_to_head import head_to_head_data
from bench.results.loading import Results, load_results

METHODS = ["sft", "dpo", "ppo", "best_of_n"]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    runs = make_runs(["polite", "haiku"], METHODS, 6)
    return load_results(write_folder(tmp_path, runs, [("ppo", "dpo")]))


def pair_of(task: dict[str, Any], a: str, b: str) -> dict[str, Any]:
    [pair] = [pair for pair in task["pairs"] if (pair["a"], pair["b"]) == (a, b)]
    return dict(pair)


def sampled(rewards: dict[str, dict[int, dict[str, list[float]]]]) -> Results:
    """Return results of a task, with the rewards of each method, seed and test prompt."""
    runs, samples = [], []
    for method, by_seed in rewards.items():
        for seed, by_prompt in by_seed.items():
            run = {"task": "t", "method": method, "params": "{}", "seed": seed}
            reward = float(np.mean([x for values in by_prompt.values() for x in values]))
            runs += [
                run | {"split": split, "status": "ok", "reward": reward}
                for split in ("validation", "test")
            ]
            samples += [
                run | {"split": split, "prompt": prompt, "reward": value + (split != "test")}
                for prompt, values in by_prompt.items()
                for value in values
                for split in ("validation", "test")
            ]
    return make_results({"runs": pd.DataFrame(runs), "samples": pd.DataFrame(samples)})


def test_every_two_methods_have_one_comparison_and_the_declared_one_comes_first(
    results: Results,
) -> None:
    data = head_to_head_data(results)["tasks"]
    assert list(data) == ["polite", "haiku"]
    for task in data.values():
        pairs = [frozenset((pair["a"], pair["b"])) for pair in task["pairs"]]
        assert len(pairs) == 6
        assert set(pairs) == {frozenset(pair) for pair in combinations(METHODS, 2)}
        assert task["methods"] == METHODS
        assert task["default"] == ["ppo", "dpo"]


def test_numbers_are_those_of_the_contrast(results: Results) -> None:
    task = head_to_head_data(results)["tasks"]["haiku"]
    rewards = selected_rewards(results, "haiku")
    assert len(task["pairs"]) == 6
    for pair in task["pairs"]:
        truth = contrast(rewards, pair["a"], pair["b"])
        assert (pair["difference"], pair["low"], pair["high"]) == pytest.approx(
            truth.difference[:3], rel=1e-5
        )
        assert pair["sign_flip_p"] == pytest.approx(truth.sign_flip_p, rel=1e-5)
        assert pair["differences"] == pytest.approx(truth.differences, rel=1e-5)
        assert (pair["seeds"], pair["lost"]) == (6, [0, 0])
        assert "two_way_p" not in pair and "prompts" not in pair
    assert task["seeds"] == list(range(6))
    for method in METHODS:
        assert task["rewards"][method] == pytest.approx(list(rewards.by_seed[method]), rel=1e-5)


def test_only_a_contrast_that_may_have_a_verdict_has_one(results: Results) -> None:
    task = head_to_head_data(results)["tasks"]["polite"]
    [tested] = with_verdict(results, "polite")
    first, *others = task["pairs"]
    assert (first["kind"], first["verdict"]) == ("declared", tested.verdict)
    assert first["holm_p"] == pytest.approx(tested.holm_p, rel=1e-5)
    assert tested.holm_p == pytest.approx(2 * first["sign_flip_p"], rel=1e-5)
    assert [pair["kind"] for pair in others] == ["exploratory"] * 5
    assert all({"verdict", "holm_p"}.isdisjoint(pair) for pair in others)


def test_win_rates_are_those_of_the_table(results: Results) -> None:
    task = head_to_head_data(results)["tasks"]["polite"]
    table = win_rates(results, "polite")
    assert len(table) == 4
    for row in table:
        pair = pair_of(task, row.method, row.opponent)
        shown = [pair[name] for name in ("win_rate", "win_rate_error", "length_controlled")]
        assert shown == pytest.approx([row.rate, row.error, row.length_controlled], rel=1e-5)
    rows = results.head_to_head.query("task == 'polite' and method == 'ppo'")
    rate = rows.loc[rows["opponent"] == "best_of_n", "win_rate"].mean()
    assert pair_of(task, "ppo", "best_of_n")["win_rate"] == pytest.approx(rate, rel=1e-5)


def test_a_recorded_task_has_the_test_over_prompts() -> None:
    difference = crossed_values(0.5, 6, 64, 0.02)
    rewards = {"ppo": np.zeros_like(difference), "dpo": difference}
    results = recorded_results(rewards, [("dpo", "ppo")])
    [pair] = head_to_head_data(results)["tasks"][TASK]["pairs"]
    [tested] = with_verdict(results, TASK)
    assert tested.contrast.over_prompts is not None
    assert pair["prompts"] == 64
    assert pair["two_way_p"] == pytest.approx(tested.contrast.over_prompts.p, rel=1e-5)
    assert (pair["low"], pair["high"]) == pytest.approx(tested.contrast.difference[1:3], rel=1e-5)
    assert pair["verdict"] == "better"


def test_rewards_by_prompt_are_means_over_test_samples_of_the_selected_settings() -> None:
    runs = make_runs(["polite"], ["sft", "dpo"], 2)
    random = np.random.default_rng(0)
    prompts = ["why ?", "<b>", "a", "z"]
    samples = pd.DataFrame(
        [
            row | {"split": split, "prompt": prompt, "reward": random.normal()}
            for row in runs[["task", "method", "params", "seed"]]
            .drop_duplicates()
            .to_dict("records")
            for split in ("validation", "test")
            for prompt in prompts
            for _ in range(3)
        ]
    )
    results = make_results({"runs": runs, "samples": samples})
    shown = head_to_head_data(results)["tasks"]["polite"]["prompt_rewards"]
    selected = select_settings(runs, "polite")
    assert runs.query("method == 'dpo'")["params"].nunique() > 1
    test = samples[samples["split"] == "test"]
    means = test.groupby(["method", "params", "prompt"])["reward"].mean()
    for method, params in selected.items():
        truth = means[method, params][prompts]
        assert shown[method] == pytest.approx(list(truth), rel=1e-5)


def test_prompts_are_numbered_as_they_first_appear() -> None:
    rewards = {"sft": {0: {"z": [1.0], "a": [2.0]}}, "dpo": {0: {"a": [3.0], "m": [5.0, 7.0]}}}
    task = head_to_head_data(sampled(rewards))["tasks"]["t"]
    assert task["prompt_rewards"] == {"sft": [1.0, 2.0, None], "dpo": [None, 3.0, 6.0]}


def test_methods_with_other_seeds_are_compared_by_prompt_on_those_that_both_have() -> None:
    rewards = {
        "sft": {0: {"a": [1.0]}, 1: {"a": [3.0]}},
        "dpo": {0: {"a": [2.0]}, 1: {"a": [6.0]}},
        "ppo": {1: {"a": [5.0]}},
    }
    task = head_to_head_data(sampled(rewards))["tasks"]["t"]
    assert task["prompt_rewards"] == {"sft": [2.0], "dpo": [4.0], "ppo": [5.0]}
    shared = {frozenset((p["a"], p["b"])): p.get("prompt_rewards") for p in task["pairs"]}
    assert shared[frozenset(("dpo", "sft"))] is None
    [pair] = [p for p in task["pairs"] if {p["a"], p["b"]} == {"dpo", "ppo"}]
    assert dict(zip((pair["a"], pair["b"]), pair["prompt_rewards"], strict=True)) == {
        "dpo": [6.0],
        "ppo": [5.0],
    }
    assert pair["lost"] == ([0, 1] if pair["b"] == "ppo" else [1, 0])
    assert [x is None for x in pair["differences"]] == [True, False]


def test_without_samples_nothing_is_shown_by_prompt(results: Results) -> None:
    empty = replace(results, samples=results.samples.iloc[:0])
    for task in head_to_head_data(empty)["tasks"].values():
        assert "prompt_rewards" not in task
        assert len(task["pairs"]) == 6


def test_a_method_without_a_result_is_in_no_comparison(tmp_path: Path) -> None:
    runs = make_runs(["polite"], METHODS, 6)
    runs = fail(runs, runs["method"] == "ppo", "out of memory")
    results = load_results(write_folder(tmp_path, runs, [("ppo", "dpo"), ("dpo", "sft")]))
    task = head_to_head_data(results)["tasks"]["polite"]
    assert task["methods"] == ["sft", "dpo", "best_of_n"]
    assert task["default"] == ["dpo", "sft"]
    assert len(task["pairs"]) == 3


def test_a_task_on_which_every_run_failed_has_nothing_to_compare() -> None:
    runs = make_runs(["polite", "haiku"], ["sft", "dpo"], 2)
    results = make_results({"runs": fail(runs, runs["task"] == "haiku", "out of memory")})
    data = head_to_head_data(results)["tasks"]
    assert (data["haiku"]["methods"], data["haiku"]["pairs"]) == ([], [])
    assert len(data["polite"]["pairs"]) == 1


def test_a_single_method_has_nothing_to_compare() -> None:
    results = make_results({"runs": make_runs(["polite"], ["sft"], 2)})
    task = head_to_head_data(results)["tasks"]["polite"]
    assert (task["methods"], task["default"], task["pairs"]) == (["sft"], [], [])


def test_data_are_json_without_nan() -> None:
    rewards = {"sft": {0: {"a": [1.0]}}, "dpo": {0: {"a": [2.0]}}}
    data = head_to_head_data(sampled(rewards))
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    [pair] = data["tasks"]["t"]["pairs"]
    assert {"low", "high"}.isdisjoint(pair)


def test_charts_name_their_data() -> None:
    specs = head_to_head_data(make_results({"runs": make_runs(["polite"], ["sft"], 1)}))["specs"]
    assert {name: spec["data"] for name, spec in specs.items()} == {
        "seeds": {"name": "seeds"},
        "prompts": {"name": "prompts"},
    }

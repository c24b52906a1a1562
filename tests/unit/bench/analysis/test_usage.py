"""How much training each method had, and which amounts are alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from helpers.synthetic import make_results, make_runs, write_folder

from bench.analysis.usage import (
    Training,
    alike,
    reward_model_seconds,
    setting_reaching,
    training_amounts,
)
from bench.results.loading import Results, load_results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo", "best_of_n"], 3)
    runs.loc[(runs["method"] == "ppo") & (runs["seed"] == 1), "responses_sampled"] = 9999
    return load_results(write_folder(tmp_path_factory.mktemp("run"), runs))


def test_episodes_are_what_was_sampled_and_examples_what_was_set(results: Results) -> None:
    assert training_amounts(results, "polite") == {
        # The median over seeds: one seed sampled 9,999.
        "ppo": Training(6144, "episodes"),
        "dpo": Training(4096, "training examples"),
    }


def test_examples_that_vary_are_those_of_the_selected_setting(results: Results) -> None:
    runs = results.runs.copy()
    dpo = runs["method"] == "dpo"
    for strength, examples in ((0.1, 512), (0.2, 1024), (0.4, 2048), (0.8, 8192)):
        params = f'{{"beta": {strength}, "examples": {examples}}}'
        runs.loc[dpo & (runs["strength"] == strength), "params"] = params
    runs.loc[dpo & (runs["strength"] == 0.4), "reward"] += 9.0
    assert training_amounts(replace(results, runs=runs), "polite")["dpo"].amount == 2048


def test_the_budget_of_the_experiment_cuts_the_examples(results: Results) -> None:
    def examples(experiment: str) -> float:
        return training_amounts(replace(results, experiment=experiment), "polite")["dpo"].amount

    assert examples("budget: 1000") == 1000
    assert examples("budget: 1000000") == 4096
    for unreadable in ("budget: [", "budget: many", "- 1", ""):
        assert examples(unreadable) == 4096


def test_a_method_without_examples_was_trained_to_the_end_of_its_curve(results: Results) -> None:
    described = results.method_settings.assign(fixed="{}")
    amounts = training_amounts(replace(results, method_settings=described), "polite")
    assert amounts["dpo"] == Training(results.curves["step"].max(), "training examples")


def test_without_a_description_samples_tell_what_a_method_learns_from(results: Results) -> None:
    bare = make_results({"runs": results.runs})
    assert training_amounts(bare, "polite") == {"ppo": Training(6144, "episodes")}


@pytest.mark.parametrize(
    ("amounts", "groups"),
    [
        ({"a": 2016, "b": 3072}, [["a"], ["b"]]),
        ({"a": 2048, "b": 2016, "c": 3072}, [["b", "a"], ["c"]]),
        ({"a": 100, "b": 104}, [["a", "b"]]),
        ({"a": 100, "b": 106}, [["a"], ["b"]]),
        # Each is alike to the least of its group, so a chain of small steps ends.
        ({"a": 100, "b": 104, "c": 108}, [["a", "b"], ["c"]]),
        ({}, []),
    ],
)
def test_amounts_are_alike_within_5_percent(
    amounts: dict[str, float], groups: list[list[str]]
) -> None:
    assert alike(amounts) == groups


def test_a_folder_of_before_has_no_curves_and_no_methods(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, make_runs(["polite"], ["sft", "dpo"], 1))
    for name in ("methods.csv", "curves.csv"):
        (folder / name).unlink()
    assert training_amounts(load_results(folder), "polite") == {}
    assert isinstance(load_results(folder).curves, pd.DataFrame)


def test_methods_that_learn_from_the_reward_model_share_its_time(results: Results) -> None:
    stages = pd.DataFrame(
        [
            {"task": "polite", "seed": seed, "stage": "reward_model", "seconds": seconds}
            for seed, seconds in enumerate((4.0, 90.0, 6.0))
        ]
    )
    timed = replace(results, stages=stages)
    # DPO learns from pairs.
    assert reward_model_seconds(timed, "polite") == {"ppo": 6.0, "best_of_n": 6.0}
    assert reward_model_seconds(replace(results, stages=stages[:0]), "polite") == {}


def test_a_reward_is_reached_at_the_smallest_kl(results: Results) -> None:
    runs = results.runs.copy()
    rewards, kls = (
        {0.1: 4.0, 0.2: 3.5, 0.4: 3.0, 0.8: 1.0},
        {0.1: 9.0, 0.2: 6.0, 0.4: 2.0, 0.8: 0.5},
    )
    dpo = runs["method"] == "dpo"
    runs.loc[dpo, "reward"] = runs.loc[dpo, "strength"].map(rewards)
    runs.loc[dpo, "kl"] = runs.loc[dpo, "strength"].map(kls)
    changed = replace(results, runs=runs)
    reaching = setting_reaching(changed, "polite", "dpo", 3.0)
    assert reaching is not None
    assert reaching.params == '{"beta": 0.4}' and reaching.kl == 2.0
    assert reaching.seconds == pytest.approx(5.2)
    assert setting_reaching(changed, "polite", "dpo", 4.1) is None
    # A setting that lost a seed does not count.
    lost = dpo & (runs["strength"] == 0.4) & (runs["seed"] == 0)
    fewer = replace(changed, runs=runs.assign(status=runs["status"].mask(lost, "failed")))
    reaching = setting_reaching(fewer, "polite", "dpo", 3.0)
    assert reaching is not None and reaching.params == '{"beta": 0.2}'

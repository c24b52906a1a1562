"""How much training each method had, and which amounts are alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from helpers.synthetic import make_results, make_runs, write_folder

from bench.analysis.usage import Training, alike, training_amounts
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

"""Sentences on what each method was given: training, settings, and how far its grid reached."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from helpers.synthetic import make_runs, write_folder
from helpers.synthetic_design import GRID, LEARNS_FROM

from bench.report.content.effort import (
    cost_sentence,
    edge_warnings,
    effort_warnings,
    equal_reward_sentence,
    one_setting_each,
    reward_model_warnings,
)
from bench.results.loading import Results, load_results

Episodes = dict[str, int]


def made(
    folder: Path, episodes: Episodes, contrasts: list[tuple[str, str]] | None = None
) -> Results:
    """Return results of SFT and of methods that sampled these many responses."""
    runs = make_runs(["polite"], ["sft", *episodes], 2)
    for method, count in episodes.items():
        runs.loc[runs["method"] == method, "responses_sampled"] = count
    return load_results(write_folder(folder, runs, contrasts or []))


def with_examples(results: Results, examples: dict[str, int]) -> Results:
    settings = results.method_settings.copy()
    for method, count in examples.items():
        settings.loc[settings["method"] == method, "fixed"] = json.dumps({"examples": count})
    return replace(results, method_settings=settings)


def test_unequal_episodes_are_said_by_name_and_number(tmp_path: Path) -> None:
    results = made(tmp_path, {"ppo": 2016, "reinforce": 3072}, [("reinforce", "ppo")])
    assert effort_warnings(results, "polite") == [
        "Unequal effort: ppo had 2,016 episodes and reinforce 3,072."
    ]


def test_whole_batches_make_no_difference_worth_a_word(tmp_path: Path) -> None:
    assert effort_warnings(made(tmp_path, {"ppo": 2016, "rloo": 2048}), "polite") == []


def test_examples_are_compared_with_examples_and_episodes_with_episodes(tmp_path: Path) -> None:
    results = made(tmp_path, {"dpo": 0, "ipo": 0, "ppo": 3072, "grpo": 3072}, [("dpo", "ppo")])
    assert effort_warnings(with_examples(results, {"dpo": 8192, "ipo": 8192}), "polite") == []
    assert effort_warnings(with_examples(results, {"dpo": 8192, "ipo": 4096}), "polite") == [
        "Unequal effort: ipo had 4,096 training examples and dpo 8,192."
    ]


def test_methods_with_the_same_amount_are_named_together(tmp_path: Path) -> None:
    episodes = {"ppo": 2016, "rloo": 2048, "grpo": 3072, "reinforce": 3072}
    assert effort_warnings(made(tmp_path, episodes), "polite") == [
        "Unequal effort: ppo and rloo had 2,016 to 2,048 episodes; grpo and reinforce 3,072."
    ]


def test_of_many_amounts_the_extremes_and_those_of_contrasts_are_said(tmp_path: Path) -> None:
    online = ["ppo", "rloo", "grpo", "online_dpo", "reinforce", "expert_iteration"]
    episodes = {method: 1000 * 2**i for i, method in enumerate(online)}
    [warning] = effort_warnings(made(tmp_path, episodes, [("grpo", "ppo")]), "polite")
    assert warning == (
        "Unequal effort: ppo had 1,000 episodes, grpo 4,000 and expert_iteration 32,000; others "
        "in between."
    )


def test_of_many_methods_with_one_amount_those_of_contrasts_are_named(tmp_path: Path) -> None:
    online = [m for m, kind in LEARNS_FROM.items() if kind == "reward" and m != "best_of_n"]
    episodes = dict.fromkeys(online, 3072) | {"reinforce": 6144}
    contrasts = [("reinforce", "ppo")]
    several = made(tmp_path / "a", episodes | {"ipo": 3072, "slic": 3072}, contrasts)
    kinds = several.method_settings.assign(learns_from="reward")
    [warning] = effort_warnings(replace(several, method_settings=kinds), "polite")
    assert warning == ("Unequal effort: ppo and 7 others had 3,072 episodes; reinforce 6,144."), (
        warning
    )


def test_privileged_methods_are_no_contenders(tmp_path: Path) -> None:
    results = made(tmp_path, {"ppo": 3072, "ppo_gold": 6144})
    assert effort_warnings(results, "polite") == []


def test_one_setting_against_several(tmp_path: Path) -> None:
    results = made(tmp_path, {"ppo": 3072, "grpo": 3072})
    one = results.runs[(results.runs["method"] != "ppo") | (results.runs["strength"] == 0.1)]
    assert effort_warnings(replace(results, runs=one), "polite") == [
        "Unequal effort: ppo tried 1 setting and grpo 4."
    ]


@pytest.mark.parametrize("contrast", [("dpo", "ppo"), ("best_of_n", "ppo")])
def test_fewer_settings_of_best_of_n_are_no_reason_to_warn_unless_it_is_tested(
    contrast: tuple[str, str], tmp_path: Path
) -> None:
    results = made(tmp_path, {"dpo": 0, "ppo": 3072, "best_of_n": 0}, [contrast])
    runs = results.runs[(results.runs["method"] != "best_of_n") | (results.runs["strength"] < 32)]
    warnings = ["Unequal effort: best_of_n tried 3 settings; dpo and ppo 4."]
    tested = "best_of_n" in contrast
    assert effort_warnings(replace(results, runs=runs), "polite") == (warnings if tested else [])


def test_training_costs_seconds_and_labels(tmp_path: Path) -> None:
    episodes = {"dpo": 0, "ppo": 3072, "best_of_n": 0, "ipo": 512}
    results = made(tmp_path, episodes, [("dpo", "ipo")])
    assert cost_sentence(results, "polite", "best_of_n") == (
        "Training per seed: best_of_n none, dpo 5.2 s and ipo 24 s; 4,096 labels each."
    )
    runs = results.runs.copy()
    runs.loc[runs["method"] == "ipo", "labels"] = 0
    assert cost_sentence(replace(results, runs=runs), "polite", "dpo") == (
        "Training per seed: dpo 5.2 s and 4,096 labels and ipo 24 s and no labels."
    )
    assert cost_sentence(made(tmp_path / "sft", {}), "polite", "sft") == ""


def best(results: Results, strengths: dict[str, float]) -> Results:
    """Return the results with these strengths the best of their methods."""
    runs = results.runs.copy()
    for method, strength in strengths.items():
        chosen = (runs["method"] == method) & (runs["strength"] == strength)
        assert chosen.any()
        runs.loc[chosen, "reward"] += 9.0
    return replace(results, runs=runs)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    runs = make_runs(["polite"], [*GRID, "ipo"], 2)
    return load_results(write_folder(tmp_path_factory.mktemp("run"), runs))


@pytest.mark.parametrize(
    ("strengths", "warnings"),
    [
        ({"dpo": 0.2, "ppo": 0.4, "ppo_gold": 0.2, "ipo": 0.4, "best_of_n": 4}, []),
        (
            {"dpo": 0.2, "ppo": 0.1, "ppo_gold": 0.2, "ipo": 0.4, "best_of_n": 16},
            ["ppo's kl_coef 0.1 (smallest)"],
        ),
        (
            {"dpo": 0.8, "ppo": 0.1, "ppo_gold": 0.2, "ipo": 0.2, "best_of_n": 64},
            ["ppo's kl_coef 0.1 (smallest) and dpo's beta 0.8 (largest)"],
        ),
    ],
)
def test_values_on_an_edge_are_said(
    results: Results, strengths: dict[str, float], warnings: list[str]
) -> None:
    assert edge_warnings(best(results, strengths), "polite") == [
        f"Selected on a grid's edge: {warning}. Values beyond might be better."
        for warning in warnings
    ]


def test_the_smallest_n_costs_no_more_than_others(results: Results) -> None:
    chosen = best(results, {"dpo": 0.2, "ppo": 0.4, "ppo_gold": 0.2, "ipo": 0.4, "best_of_n": 2})
    [warning] = edge_warnings(chosen, "polite")
    assert warning.startswith("Selected on a grid's edge: best_of_n's n 2 (smallest).")


def test_many_values_on_an_edge_are_counted(tmp_path: Path) -> None:
    methods = [method for method in LEARNS_FROM if method not in ("sft", "best_of_n")]
    runs = make_runs(["polite"], ["sft", *methods], 2)
    results = load_results(write_folder(tmp_path, runs, [("apo", "kto")]))
    [warning] = edge_warnings(best(results, dict.fromkeys(methods, 0.8)), "polite")
    # Those of contrasts come first.
    assert warning == (
        "Selected on a grid's edge: apo's beta 0.8 (largest), kto's beta 0.8 (largest), dpo's "
        f"beta 0.8 (largest) and {len(methods) - 3} more. Values beyond might be better."
    )


def test_whether_every_method_had_one_setting(results: Results) -> None:
    assert not one_setting_each(results)
    runs = results.runs
    ones = runs["strength"].isna() | (runs["strength"] == 0.2) | (runs["strength"] == 4)
    assert one_setting_each(replace(results, runs=runs[ones]))
    assert edge_warnings(replace(results, runs=runs[ones]), "polite") == []


def test_the_cost_of_the_same_reward_is_that_of_the_nearest_setting(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 2)
    for method, best in (("dpo", 3.0), ("ppo", 5.0)):
        own = runs["method"] == method
        # The weaker the KL strength, the more reward and KL.
        runs.loc[own, "reward"] = best * (1 - runs.loc[own, "strength"])
        runs.loc[own, "kl"] = 1 / runs.loc[own, "strength"]
    results = load_results(write_folder(tmp_path, runs, [("dpo", "ppo")]))
    # DPO's best, 2.70 at beta 0.1; PPO's 3.00 at kl_coef 0.4 is enough.
    sentence = equal_reward_sentence(results, "polite")
    assert sentence.startswith(
        "For the same gold reward, 2.70: dpo (beta 0.1) trains 5.2 s, at 10.00 nats; "
        "ppo (kl_coef 0.4) trains 24 s and "
    )
    assert sentence.endswith("s for the reward model, at 2.50 nats.")
    without = load_results(write_folder(tmp_path / "b", runs[runs["method"] != "ppo"]))
    assert "ppo" not in equal_reward_sentence(without, "polite")


@pytest.mark.parametrize(
    ("implicit", "of_reward", "warned"),
    [
        ([0.72, 0.74, 0.73], [0.65, 0.66, 0.64], True),
        # Level, or better.
        ([0.72, 0.74, 0.73], [0.72, 0.73, 0.74], False),
        ([0.72, 0.74, 0.73], [0.78, 0.79, 0.77], False),
        # May be chance.
        ([0.80, 0.62, 0.77], [0.66, 0.73, 0.70], False),
        # Too few seeds to tell, and results that do not say.
        ([0.73], [0.65], False),
        ([0.73, 0.74, 0.72], [math.nan] * 3, False),
    ],
)
def test_a_reward_model_that_learned_less_than_a_policy_is_said(
    tmp_path: Path, implicit: list[float], of_reward: list[float], warned: bool
) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], len(implicit))
    dpo = runs["method"] == "dpo"
    # Others may tell them apart even better, by the reward model itself.
    runs["implicit_accuracy"] = 0.9
    runs.loc[dpo, "implicit_accuracy"] = runs.loc[dpo, "seed"].map(dict(enumerate(implicit)))
    results = load_results(write_folder(tmp_path, runs, []))
    stages = pd.DataFrame(
        {"task": "polite", "seed": range(len(of_reward)), "stage": "reward_model"}
    )
    results = replace(results, stages=stages.assign(label_accuracy=of_reward))
    warnings = reward_model_warnings(results, "polite")
    assert len(warnings) == warned
    if warned:
        assert "agrees with 65% of held-out labels, and dpo (beta " in warnings[0]
        assert "with 73%." in warnings[0]

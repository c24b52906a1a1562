"""Which settings are selected, and which runs count."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest
from helpers.synthetic import fail, make_results, make_runs
from helpers.synthetic_design import GRID

from bench.analysis.selection import (
    Edge,
    edges,
    lost_more_seeds,
    numbers_in,
    order_by_validation,
    seed_counts,
    seeds_lost,
    select_settings,
    selected_rows,
    table_order,
)
from bench.results.schema import RUNS


def test_settings_are_selected_on_validation() -> None:
    runs = make_runs(["polite"], ["sft", "dpo"], 2)
    setting = (runs["method"] == "dpo") & (runs["strength"] == 0.4)
    runs.loc[setting & (runs["split"] == "validation"), "reward"] = 9.0
    runs.loc[setting & (runs["split"] == "test"), "reward"] = -9.0
    runs = RUNS.typed(runs)
    assert select_settings(runs, "polite")["dpo"] == '{"beta": 0.4}'
    assert set(selected_rows(runs, "polite").query("method == 'dpo'")["reward"]) == {-9.0}


def test_a_setting_does_not_win_by_losing_seeds() -> None:
    runs = make_runs(["polite"], ["sft", "dpo"], 3)
    setting = (runs["method"] == "dpo") & (runs["strength"] == 0.4)
    runs.loc[setting, "reward"] = 9.0
    # Lost on test alone: the run is lost all the same.
    lost = setting & (runs["seed"] == 1) & (runs["split"] == "test")
    whole, broken = (RUNS.typed(frame) for frame in (runs, fail(runs, lost, "lost")))
    assert select_settings(whole, "polite")["dpo"] == '{"beta": 0.4}'
    assert select_settings(broken, "polite")["dpo"] != '{"beta": 0.4}'
    assert seed_counts(broken, "polite", "dpo", '{"beta": 0.4}') == (2, 3)
    assert seed_counts(broken, "polite", "dpo", None) == (0, 3)


def lost_on(runs: pd.DataFrame, method: str, strength: float, seed: int) -> pd.Series:
    named = (runs["method"] == method) & (runs["seed"] == seed)
    return named & (runs["strength"].isna() | (runs["strength"] == strength))


def test_settings_that_lost_different_seeds_are_compared_on_those_that_both_finished() -> None:
    runs = make_runs(["polite"], ["sft", "dpo"], 3)
    runs = runs[runs["strength"].isna() | runs["strength"].isin([0.1, 0.4])]
    # Seed 0 is easy. On seed 2, which both finish, 0.1 is better.
    runs["reward"] = 0.0
    runs.loc[runs["seed"] == 0, "reward"] = 9.0
    runs.loc[lost_on(runs, "dpo", 0.1, 2), "reward"] = 1.0
    lost = lost_on(runs, "dpo", 0.1, 0) | lost_on(runs, "dpo", 0.4, 1)
    assert select_settings(RUNS.typed(fail(runs, lost, "lost")), "polite")["dpo"] == '{"beta": 0.1}'
    # Without a seed in common, each has the mean of its own.
    two = RUNS.typed(fail(runs, lost, "lost").query("seed < 2"))
    assert select_settings(two, "polite")["dpo"] == '{"beta": 0.4}'


def test_methods_that_lost_different_seeds_are_ordered_by_those_that_all_finished() -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 3)
    runs = runs[runs["strength"].isna() | (runs["strength"] == 0.1)]
    runs["reward"] = 0.0
    runs.loc[runs["seed"] == 0, "reward"] = 9.0
    runs.loc[lost_on(runs, "ppo", 0.1, 2), "reward"] = 1.0
    lost = lost_on(runs, "ppo", 0.1, 0) | lost_on(runs, "dpo", 0.1, 1)
    broken = RUNS.typed(fail(runs, lost, "lost"))
    assert order_by_validation(broken, "polite")[0] == "ppo"


def test_privileged_methods_are_not_in_the_order() -> None:
    runs = RUNS.typed(make_runs(["polite"], list(GRID), 6))
    assert order_by_validation(runs, "polite", {"ppo_gold"})[0] == "ppo"
    assert order_by_validation(runs, "polite")[0] == "ppo_gold"


def test_a_method_does_not_come_first_by_losing_seeds() -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo", "ppo_gold"], 3)
    runs.loc[runs["method"] == "ppo", "reward"] += 9.0
    assert order_by_validation(RUNS.typed(runs), "polite", {"ppo_gold"}) == ["ppo", "dpo", "sft"]
    broken = RUNS.typed(fail(runs, (runs["method"] == "ppo") & (runs["seed"] == 1), "lost"))
    assert seeds_lost(broken, "polite") == {"sft": 0, "dpo": 0, "ppo": 1, "ppo_gold": 0}
    assert lost_more_seeds(broken, "polite") == {"ppo"}
    assert order_by_validation(broken, "polite", {"ppo_gold"}) == ["dpo", "sft", "ppo"]


def test_sft_is_not_first_where_all_others_lost_a_seed() -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 3)
    lost = (runs["method"] != "sft") & (runs["seed"] == 1)
    broken = RUNS.typed(fail(runs, lost, "lost"))
    assert lost_more_seeds(broken, "polite") == frozenset()
    assert order_by_validation(broken, "polite") == ["ppo", "dpo", "sft"]


def test_a_method_without_a_finished_run_lost_every_seed_that_others_finished() -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 3)
    lost = (runs["method"] == "dpo") | (runs["seed"] == 2)
    assert seeds_lost(RUNS.typed(fail(runs, lost, "lost")), "polite") == {
        "sft": 0,
        "dpo": 2,
        "ppo": 0,
    }


def tried(settings: list[dict[str, object]], best: int, failed: int = -1) -> pd.DataFrame:
    """Return runs of one method at these settings, one of which is best, and one may fail."""
    rows = [
        {
            "task": "polite",
            "method": "ppo",
            "params": json.dumps(setting),
            "seed": 0,
            "split": split,
            "status": "failed" if i == failed else "ok",
            "reward": None if i == failed else float(i == best),
        }
        for i, setting in enumerate(settings)
        for split in ("validation", "test")
    ]
    return RUNS.typed(pd.DataFrame(rows))


@pytest.mark.parametrize(
    ("settings", "best", "found"),
    [
        ([{"beta": 1}, {"beta": 2}, {"beta": 3}], 0, [("beta", 1, "smallest")]),
        ([{"beta": 1}, {"beta": 2}, {"beta": 3}], 1, []),
        # The order in the file does not matter.
        ([{"beta": 3}, {"beta": 0.5}, {"beta": 10}], 2, [("beta", 10, "largest")]),
        ([{"beta": 3}, {"beta": 0.5}, {"beta": 10}], 0, []),
        ([{"beta": 1}], 0, []),
        ([{}], 0, []),
        (
            [{"beta": 1, "lr": 0.1}, {"beta": 2, "lr": 0.1}, {"beta": 2, "lr": 0.2}],
            1,
            [("beta", 2, "largest"), ("lr", 0.1, "smallest")],
        ),
        # Neither words nor switches nor none has a larger value.
        ([{"mode": "a", "on": True}, {"mode": "b", "on": False}, {"x": None}], 0, []),
    ],
)
def test_a_selected_value_is_on_an_edge_if_nothing_was_tried_beyond(
    settings: list[dict[str, object]], best: int, found: list[tuple[str, float, str]]
) -> None:
    assert edges(tried(settings, best), "polite") == [("ppo", *edge) for edge in found]


def test_a_setting_that_failed_was_tried() -> None:
    settings: list[dict[str, object]] = [{"beta": 1}, {"beta": 2}, {"beta": 3}]
    assert edges(tried(settings, 1, failed=0), "polite") == []
    assert edges(tried(settings, 1, failed=1), "polite") == [Edge("ppo", "beta", 1, "smallest")]


@pytest.mark.parametrize("text", ["", "weak", "[1]", "3", "{"])
def test_params_that_are_no_settings_have_no_numbers(text: str) -> None:
    assert numbers_in(text) == {}


def test_tables_have_sft_first_then_contenders_by_validation_and_privileged_methods_last() -> None:
    methods = ["ppo_gold", "dpo", "kto", "sft", "ppo", "gold_2"]
    runs = make_runs(["polite"], ["sft", "dpo", "ppo", "ppo_gold"], 2)
    added = [
        runs[runs["method"] == of].assign(method=name)
        for of, name in (("dpo", "kto"), ("ppo_gold", "gold_2"))
    ]
    runs = pd.concat([runs, *added])
    runs = pd.concat([runs[runs["method"] == method] for method in methods], ignore_index=True)
    validation = {"sft": 9.0, "dpo": 1.0, "ppo": 3.0, "kto": 5.0, "ppo_gold": 7.0, "gold_2": 8.0}
    on_validation = runs["split"] == "validation"
    runs["reward"] = runs["method"].map(validation).where(on_validation, 0.0)
    privileged = {"methods": {"ppo_gold": {"privileged": True}, "gold_2": {"privileged": True}}}
    results = replace(make_results({"runs": runs}), manifest=privileged)
    expected = ["sft", "kto", "ppo", "dpo", "gold_2", "ppo_gold"]
    assert table_order(results, "polite") == expected
    # One that failed comes last, SFT too.
    lost = fail(runs, runs["method"] == "kto", "no disk")
    without = replace(results, runs=make_results({"runs": lost}).runs)
    assert table_order(without, "polite") == ["sft", "ppo", "dpo", "gold_2", "ppo_gold", "kto"]

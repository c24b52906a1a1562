"""Which settings are selected, and which runs count."""

from __future__ import annotations

from helpers.synthetic import fail, make_runs
from helpers.synthetic_design import GRID

from bench.analysis.selection import (
    order_by_validation,
    seed_counts,
    select_settings,
    selected_rows,
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


def test_privileged_methods_are_not_in_the_order() -> None:
    runs = RUNS.typed(make_runs(["polite"], list(GRID), 6))
    assert order_by_validation(runs, "polite", {"ppo_gold"})[0] == "ppo"
    assert order_by_validation(runs, "polite")[0] == "ppo_gold"

"""Labels that a reward model saved, counted over all settings of a seed."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.report import as_frame
from helpers.synthetic import make_runs, write_folder
from helpers.synthetic_design import GRID

from bench.analysis.selection import table_order
from bench.analysis.usage import reward_queries, selected_usage
from bench.report.sections.cost import cost_figure, usage_table
from bench.results.loading import Results, load_results


def results_with(calls: float, per_seed: float, folder: Path) -> Results:
    """Return results in which a run of PPO calls its reward model so often."""
    runs = make_runs(["polite"], list(GRID), 2)
    ppo = runs["method"] == "ppo"
    runs.loc[ppo, "reward_calls"] = calls + per_seed * runs.loc[ppo, "seed"]
    return load_results(write_folder(folder, runs))


def saved(results: Results) -> dict[str, str]:
    table = as_frame(usage_table(results, "polite")).set_index("method")
    return dict(table["labels saved, all settings"])


def test_labels_saved_are_counted_over_all_settings_of_a_seed(tmp_path: Path) -> None:
    results = results_with(3000.0, 100.0, tmp_path)
    # Four settings: 12,000 and 12,400 answers for 4,096 labels.
    assert reward_queries(results, "polite") == {"ppo": (12200.0, 4096.0)}
    others = ["sft", "best_of_n", "dpo", "ppo_gold (privileged)"]
    assert saved(results) == {"ppo": "8,104"} | dict.fromkeys(others, "—")


def test_each_method_is_shown_with_what_it_was_trained_on(tmp_path: Path) -> None:
    results = load_results(write_folder(tmp_path, make_runs(["polite"], list(GRID), 2)))
    trained_on = as_frame(usage_table(results, "polite")).set_index("method")["trained on"]
    assert dict(trained_on) == {
        "sft": "—",
        "dpo": "4,096 examples",
        "ppo": "6,144 episodes",
        "ppo_gold (privileged)": "6,144 episodes",
        "best_of_n": "—",
    }


def test_the_price_of_an_answer_is_shown(tmp_path: Path) -> None:
    runs = make_runs(["polite"], list(GRID), 2)
    runs.loc[runs["strength"] == 16, "reward"] += 9.0
    results = load_results(write_folder(tmp_path, runs))
    per_answer = as_frame(usage_table(results, "polite")).set_index("method")
    expected = {"best_of_n": "16"} | dict.fromkeys(["sft", "dpo", "ppo"], "1")
    column = per_answer["responses per answer"]
    assert {method: column[method] for method in expected} == expected


def test_methods_are_in_the_order_of_all_tables_and_numbers_sort(tmp_path: Path) -> None:
    results = load_results(write_folder(tmp_path, make_runs(["polite"], list(GRID), 2)))
    rows = usage_table(results, "polite").rows
    assert [row["method"] for row in rows] == [
        results.marked(method) for method in table_order(results, "polite")
    ]
    trained_on = {row["method"]: row["trained_on"] for row in rows}
    assert trained_on["ppo"].value == 6144 and trained_on["dpo"].value == 4096


def test_equal_costs_are_at_the_same_place_and_no_axis_starts_below_0(tmp_path: Path) -> None:
    results = load_results(write_folder(tmp_path, make_runs(["polite"], list(GRID), 2)))
    figure = cost_figure(results)
    assert figure is not None
    for ax in figure.axes:
        assert ax.get_xlim()[0] == 0
        assert all(tick >= 0 for tick in ax.get_xticks() if tick >= ax.get_xlim()[0])
    by_name = {ax.get_xlabel(): ax for ax in figure.axes}
    points = [container.lines[0] for container in by_name["labels"].containers]
    assert len(points) == 4
    usage = selected_usage(results, "polite")["labels"]
    places = sorted(float(point.get_xdata()[0]) for point in points)
    assert places == sorted(float(usage[method]) for method in usage.index if method != "sft")
    assert len(set(places)) < len(places)
    for point in points:
        # No offset in points: data and pixels agree.
        x, y = point.get_xydata()[0]
        assert point.get_transform().transform((x, y)) == pytest.approx(
            by_name["labels"].transData.transform((x, y))
        )


def test_few_answers_would_have_been_cheaper_without_a_reward_model(tmp_path: Path) -> None:
    results = results_with(500.0, 0.0, tmp_path)
    assert saved(results)["ppo"] == "-2,096"

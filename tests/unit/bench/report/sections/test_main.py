"""The main table: its columns come from the declared metrics."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.report import as_frame
from helpers.sampled_prompts import TASK, crossed_values, recorded_results
from helpers.synthetic import make_results, make_runs

from bench.analysis.contrasts import contrast
from bench.analysis.selection import selected_rewards
from bench.analysis.statistics import crossed_interval
from bench.report.sections.main import main_section, main_table
from bench.results import metrics
from bench.results.columns import Metric
from bench.results.loading import Results


@pytest.fixture(scope="module")
def results() -> Results:
    runs = make_runs(["polite"], ["sft", "best_of_n", "ppo", "ppo_gold"], 3)
    privileged = {"methods": {"ppo_gold": {"privileged": True}}}
    return replace(make_results({"runs": runs}), manifest=privileged)


def test_the_table_shows_intervals_and_dashes(results: Results) -> None:
    table = as_frame(main_table(results, "polite")).set_index("method")
    gain = contrast(selected_rewards(results, "polite"), "ppo", "sft").difference
    expected = f"+{gain.mean:.2f} [{gain.low:.2f}, {gain.high:.2f}]"
    assert table.loc["ppo", "gain over SFT"] == expected
    assert table.loc["sft", "gain over SFT"] == "—"
    assert table.loc["sft", "efficiency"] == "—"
    assert " ± " in table.loc["ppo", "gold reward"]
    assert list(table["seeds"]) == ["3/3"] * 4


def test_privileged_methods_are_marked(results: Results) -> None:
    names = as_frame(main_table(results, "polite"))["method"]
    assert [name for name in names if "privileged" in name] == ["ppo_gold (privileged)"]


def test_headings_say_what_gives_the_reward(results: Results) -> None:
    judged = replace(results, runs=results.runs.assign(reward_source="judge"))
    headings = as_frame(main_table(judged, "polite")).columns
    assert "judge reward" in headings and "gold reward" not in headings


def test_efficiency_is_shown_only_where_every_seed_has_it(results: Results) -> None:
    lacking = (results.runs["method"] == "ppo") & (results.runs["seed"] == 1)
    runs = results.runs.assign(efficiency=results.runs["efficiency"].mask(lacking))
    table = as_frame(main_table(replace(results, runs=runs), "polite")).set_index("method")
    assert table.loc["ppo", "efficiency"] == "—"
    assert table.loc["best_of_n", "efficiency"].endswith("%")


def test_a_new_metric_is_shown_with_no_other_change(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = Metric("rhymes", "rhymes", "Share that rhymes.", format="percent", shown=("main",))
    monkeypatch.setattr(metrics, "METRICS", (*metrics.METRICS, metric))
    with_metric = replace(results, runs=results.runs.assign(rhymes=0.25))
    table = main_table(with_metric, "polite")
    assert as_frame(table)["rhymes"].tolist() == ["25%"] * 4
    assert {column.help for column in table.columns if column.name == "rhymes"} == {metric.help}


def test_intervals_are_for_other_prompts_where_seeds_share_them() -> None:
    sft, gain = crossed_values(1.0, 6, 64, 0.3), crossed_values(0.5, 6, 64, 0.02)
    recorded = recorded_results({"sft": sft, "dpo": sft + gain})
    table = as_frame(main_table(recorded, TASK)).set_index("method")
    interval = crossed_interval(sft + gain)
    reward = f"{interval.mean:.2f} ± {interval.half_width:.2f}"
    assert table.loc["dpo", "judge reward"] == reward
    interval = crossed_interval(gain)
    expected = f"+{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"
    assert table.loc["dpo", "gain over SFT"] == expected
    [part] = main_section(recorded).parts
    assert "6 seeds share 64 test prompts" in part.paragraphs[0]
    # Without the rewards of each prompt there are means, and no intervals.
    lacking = replace(recorded, samples=recorded.samples.iloc[:0])
    assert as_frame(main_table(lacking, TASK))["judge reward"].tolist() == [
        f"{sft.mean():.2f}",
        f"{(sft + gain).mean():.2f}",
    ]

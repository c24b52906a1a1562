"""The ranking's table: who is on it, and what is left out of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
from helpers.report import as_frame
from helpers.synthetic import fail, make_runs, small_results, write_folder

from bench.report.sections.ranking import contrasts_over_tasks, ranking_table
from bench.results.loading import Results, load_results

GAIN = "normalized gain (IQM)"


def loaded(folder: Path, runs: pd.DataFrame) -> Results:
    return load_results(write_folder(folder, runs))


def test_a_method_that_was_not_run_on_every_task_takes_no_rank(tmp_path: Path) -> None:
    runs = make_runs(["polite", "exact"], ["sft", "dpo", "ppo", "best_of_n"], 3)
    absent = (runs["method"] == "best_of_n") & (runs["task"] == "exact")
    table = as_frame(ranking_table(loaded(tmp_path, runs[~absent])))
    last = table.iloc[-1]
    row = (last["method"], last["rank"], last["mean rank"])
    assert row == ("best_of_n", "not on all tasks", "—")


def test_a_method_with_a_failed_run_takes_no_rank(tmp_path: Path) -> None:
    runs = make_runs(["polite", "exact"], ["sft", "dpo", "ppo"], 3)
    lost = (runs["method"] == "ppo") & (runs["task"] == "polite") & (runs["seed"] == 1)
    table = as_frame(ranking_table(loaded(tmp_path, fail(runs, lost, "lost"))))
    columns = ["method", "rank", "mean rank", "pipelines"]
    assert table[columns].to_numpy().tolist()[2] == ["ppo", "lost seeds", "—", "5/6"]
    assert table[["method", "rank"]].to_numpy().tolist()[:2] == [["dpo", "1"], ["sft", "2"]]


def test_a_method_without_a_finished_run_is_listed_as_failed(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 1)
    table = as_frame(ranking_table(loaded(tmp_path, fail(runs, runs["method"] == "ppo", "lost"))))
    columns = ["method", "rank", "pipelines"]
    assert table[columns].to_numpy().tolist() == [
        ["dpo", "1", "1/1"],
        ["sft", "2", "1/1"],
        ["ppo (failed)", "failed", "0/1"],
    ]


def test_one_seed_gives_ranks_without_intervals(tmp_path: Path) -> None:
    results = loaded(tmp_path, make_runs(["polite"], ["sft", "dpo", "ppo"], 1))
    table = as_frame(ranking_table(results))
    assert table["mean rank"].tolist() == ["1.0", "2.0", "3.0"]
    assert table["probability of being best"].tolist() == ["—"] * 3


def test_a_privileged_method_takes_no_rank(tmp_path: Path) -> None:
    results = loaded(tmp_path, make_runs(["polite"], ["sft", "dpo", "ppo", "ppo_gold"], 3))
    table = as_frame(ranking_table(results))
    assert table["method"].tolist() == ["ppo", "dpo", "sft", "ppo_gold (privileged)"]
    assert table["rank"].tolist() == ["1", "2", "3", "—"]
    # It has a gain all the same.
    assert table[GAIN].tolist()[3] != "—"


def test_a_task_without_a_frontier_is_ranked_like_the_others(tmp_path: Path) -> None:
    results = loaded(tmp_path, make_runs(["polite", "exact"], ["sft", "dpo", "ppo"], 2))
    known = results.frontier[results.frontier["task"] == "polite"]
    table = as_frame(ranking_table(replace(results, frontier=known)))
    assert "mean rank on exact" in table.columns
    gains = table.set_index("method")[GAIN]
    assert gains["ppo"] != "—" and gains["sft"] == "—"


def test_gains_are_shares_of_what_each_seed_could_gain() -> None:
    row = as_frame(ranking_table(small_results())).set_index("method").loc["dpo"]
    # The middle half of 0, 0.25, 0.5 and 0.5; 4 of 4 seed pairs on a, 3 of 4 on b with ties half.
    assert row[GAIN].startswith("0.38 [")
    assert row["probability of improvement over SFT"].startswith("88% [")
    assert row["pipelines"] == "4/4"
    [contrast] = as_frame(contrasts_over_tasks(small_results())).to_dict("records")
    improvement = row["probability of improvement over SFT"]
    assert contrast == {"contrast": "dpo vs sft", "probability of improvement": improvement}
    results = small_results()
    alone = replace(results, runs=results.runs[results.runs["task"] == "a"])
    assert not contrasts_over_tasks(alone)


def test_a_method_that_lacks_a_task_has_no_gain_over_all(tmp_path: Path) -> None:
    runs = make_runs(["polite", "exact"], ["sft", "dpo", "ppo"], 2)
    lost = (runs["task"] == "exact") & (runs["method"] == "dpo")
    results = load_results(write_folder(tmp_path, fail(runs, lost, "lost"), [("dpo", "ppo")]))
    table = as_frame(ranking_table(results)).set_index("method")
    assert table.loc["dpo", GAIN] == "—"
    assert table.loc["ppo", GAIN] != "—"
    assert table.loc["dpo", "pipelines"] == "2/4"

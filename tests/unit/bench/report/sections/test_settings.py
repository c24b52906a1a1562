"""All settings tried: what they are worth together, each one's numbers, and failed runs."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from helpers.report import as_frame
from helpers.synthetic import fail, make_results, make_runs
from helpers.synthetic_design import GRID

from bench.analysis.effort import efforts
from bench.report.sections.settings import (
    effort_table,
    failure_table,
    settings_section,
    settings_table,
)
from bench.results.loading import Results


@pytest.fixture(scope="module")
def results() -> Results:
    return make_results({"runs": make_runs(["polite"], list(GRID), 3)})


def by_hand() -> Results:
    """Return results of two settings that two seeds agree on, below a straight frontier."""
    # KL, reward on validation prompts, reward on test prompts.
    metrics = {"weak": (0.5, 1.2, 1.0), "strong": (2.0, 1.8, 2.0)}
    rows = [
        ("polite", "sft", "{}", seed, split, "ok", 0.0, 0.0)
        for seed in (0, 1)
        for split in ("validation", "test")
    ]
    rows += [
        ("polite", "ppo", params, seed, split, "ok", kl, reward)
        for params, (kl, validation, test) in metrics.items()
        for seed in (0, 1)
        for split, reward in (("validation", validation), ("test", test))
    ]
    names = ["task", "method", "params", "seed", "split", "status", "kl", "reward"]
    line = [("polite", seed, kl, kl) for seed in (0, 1) for kl in (0.0, 4.0)]
    frontier = pd.DataFrame(line, columns=["task", "seed", "kl", "reward"])
    return make_results({"runs": pd.DataFrame(rows, columns=names), "frontier": frontier})


def test_the_settings_of_a_method_are_summed_up() -> None:
    results = by_hand()
    [row] = as_frame(effort_table(results, "polite")).to_dict("records")
    # The area under the frontier is 8, that under the steps 1.5 * 1 + 2 * 2.
    assert row["area under the frontier"] == "69%"
    assert [row[f"reward at KL ≤ {k}"] for k in (1, 2, 4)] == ["1.00", "2.00", "2.00"]
    assert (row["best of 1"], row["best of 2"]) == ("1.50", "2.00")
    assert row["collapsed"] == "0/4"


def test_a_run_below_the_sft_policy_has_collapsed() -> None:
    results = by_hand()
    runs = results.runs.copy()
    runs.loc[(runs["params"] == "weak") & (runs["seed"] == 1), "reward"] = -1.0
    worse = replace(results, runs=runs)
    assert as_frame(effort_table(worse, "polite"))["collapsed"].tolist() == ["1/4"]


def test_a_method_with_fewer_settings_has_dashes(results: Results) -> None:
    runs = results.runs
    fewer = runs[(runs["method"] != "dpo") | (runs["strength"] < 0.3)]
    table = as_frame(effort_table(replace(results, runs=fewer), "polite")).set_index("method")
    assert table.loc["dpo", "best of 2"] != "—"
    assert table.loc["dpo", ["best of 3", "best of 4"]].tolist() == ["—", "—"]
    assert table.loc["ppo", "best of 4"] != "—"


def test_without_sft_no_run_is_called_collapsed(results: Results) -> None:
    without = results.runs[results.runs["method"] != "sft"]
    assert {row.collapsed for row in efforts(without, results.frontier, "polite")} == {None}
    table = as_frame(effort_table(replace(results, runs=without), "polite"))
    assert set(table["collapsed"]) == {"—"}


def test_every_setting_is_listed_and_the_selected_one_marked(results: Results) -> None:
    table = settings_table(results, "polite")
    assert table.folded
    frame = as_frame(table)
    assert len(frame) == 1 + 4 * 4
    assert frame.groupby("method")["selected"].apply(lambda marks: (marks != "").sum()).eq(1).all()
    assert [bool(row["selected"]) for row in table.rows] == (frame["selected"] != "").tolist()
    marks = frame[frame["selected"] != ""].set_index("method")
    # The smallest of four values, and the second of four.
    assert marks.loc["ppo", ["selected", "setting"]].tolist() == ["● edge", "kl_coef 0.1"]
    assert marks.loc["dpo", ["selected", "setting"]].tolist() == ["●", "beta 0.2"]
    dpo = results.runs.query("method == 'dpo' and strength == 0.1 and split == 'test'")
    row = frame[(frame["method"] == "dpo") & (frame["setting"] == "beta 0.1")].iloc[0]
    assert row["test gold reward"] == f"{dpo['reward'].mean():.2f}"
    assert row["seeds"] == "3/3"


def test_failed_runs_are_listed_once_with_their_errors(results: Results) -> None:
    lost = (results.runs["method"] == "dpo") & (results.runs["seed"] == 2)
    runs = fail(results.runs, lost, "RuntimeError: no memory")
    table = as_frame(failure_table(runs))
    assert table["setting"].tolist() == [f"beta {beta}" for beta in (0.1, 0.2, 0.4, 0.8)]
    assert set(table["error"]) == {"RuntimeError: no memory"} and set(table["seed"]) == {"2"}


def test_the_section_says_that_nothing_failed(results: Results) -> None:
    section = settings_section(results)
    assert section.parts[-1].heading == "Failures"
    assert section.parts[-1].paragraphs == ("No run failed or diverged.",)
    tried = "Settings tried: sft 1, dpo 4, ppo 4, ppo_gold 4, best_of_n 4."
    assert section.parts[0].paragraphs == (tried,)
    failed = replace(results, runs=fail(results.runs, results.runs["seed"] == 1, "no disk"))
    assert not settings_section(failed).parts[-1].paragraphs

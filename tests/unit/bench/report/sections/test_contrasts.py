"""The table of comparisons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.report import as_frame
from helpers.sampled_prompts import TASK, crossed_values, recorded_results
from helpers.synthetic import make_runs, write_folder

from bench.analysis.contrasts import with_verdict
from bench.report.sections.contrasts import contrast_tables, contrasts_section, prompts_note
from bench.results.loading import Results, load_results


def test_declared_contrasts_come_first_and_others_have_no_verdict(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo", "best_of_n"], 6)
    runs.loc[runs["method"] == "ppo", "reward"] += 2.0
    results = load_results(write_folder(tmp_path, runs, [("dpo", "ppo")]))
    tested, exploratory = contrast_tables(results, "polite")
    [row] = as_frame(tested).to_dict("records")
    assert (row["contrast"], row["kind"], row["verdict"]) == (
        "dpo vs ppo",
        "declared",
        "ppo is better",
    )
    assert (row["Holm p"], row["probability of improvement"]) == ("0.031", "0%")
    assert row["difference"].startswith("-2") and tested.rows[0]["seeds"].value == 6
    frame = as_frame(exploratory)
    assert set(frame["kind"]) == {"exploratory"} and len(frame) == 5
    assert set(frame["verdict"]) == {"—"} == set(frame["Holm p"])
    sizes = [abs(row["difference"].value) for row in exploratory.rows]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 5
    assert exploratory.folded and not tested.folded


def recorded(seeds: int, seed_deviation: float = 0.02, prompt_deviation: float = 1.0) -> Results:
    """DPO above PPO by half a deviation over prompts."""
    difference = crossed_values(0.5, seeds, 64, seed_deviation, prompt_deviation)
    rewards = {"ppo": np.zeros_like(difference), "dpo": difference}
    return recorded_results(rewards, [("dpo", "ppo")])


def test_recorded_data_say_what_they_rest_on() -> None:
    results = recorded(6)
    [note] = prompts_note(results, TASK)
    assert "6 seeds share 64 test prompts, a sample from the data." in note
    table, _ = contrast_tables(results, TASK)
    row = as_frame(table).iloc[0]
    assert (row["seeds"], row["prompts"], row["sign-flip p"]) == ("6", "64", "0.031")
    [comparison] = with_verdict(results, TASK)
    assert comparison.contrast.over_prompts is not None
    assert table.rows[0]["two_way_p"].value == comparison.contrast.over_prompts.p
    assert row["Holm p"] == "0.031"


@pytest.mark.parametrize(
    ("seed_deviation", "prompt_deviation", "source"), [(0.02, 1.0, "prompts"), (1.0, 0.1, "seeds")]
)
def test_the_main_source_of_the_uncertainty_is_named(
    seed_deviation: float, prompt_deviation: float, source: str
) -> None:
    section = contrasts_section(recorded(6, seed_deviation, prompt_deviation))
    assert section is not None
    [_, sentence] = section.parts[0].paragraphs
    assert f"Most of the uncertainty of dpo vs ppo comes from the {source} (9" in sentence


def test_one_seed_gives_an_interval_for_this_training_alone() -> None:
    results = recorded(1)
    [note] = prompts_note(results, TASK)
    assert note.startswith("Intervals are over 64 test prompts, for this one training")
    row = as_frame(contrast_tables(results, TASK)[0]).iloc[0]
    assert row["difference"].startswith("+0.") and "[" in row["difference"]
    assert row["two-way p"] == "—"


def test_missing_rewards_on_each_prompt_are_said_to_be_missing() -> None:
    results = recorded(6)
    results = replace(results, samples=results.samples.iloc[:0])
    [note] = prompts_note(results, TASK)
    assert note.startswith("samples.parquet lacks the rewards on each test prompt")


def test_embedded_tasks_say_nothing_of_prompts(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 6)
    results = load_results(write_folder(tmp_path, runs, [("dpo", "ppo")]))
    section = contrasts_section(results)
    assert section is not None and section.parts[0].paragraphs == ()
    assert "prompts" not in as_frame(contrast_tables(results, "polite")[0]).columns

"""The table of comparisons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.report import as_frame
from helpers.sampled_prompts import TASK, crossed_values, recorded_results
from helpers.synthetic import make_runs, write_folder
from helpers.synthetic_design import LEARNS_FROM

from bench.analysis.contrasts import with_verdict
from bench.report.sections.contrasts import (
    contrast_tables,
    contrasts_section,
    prompts_note,
    unreachable_verdict_warnings,
    verdict_statement,
)
from bench.results.loading import Results, load_results


def test_declared_contrasts_come_first_and_others_have_no_verdict(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo", "best_of_n"], 6)
    runs.loc[runs["method"] == "ppo", "reward"] += 2.0
    results = load_results(write_folder(tmp_path, runs, [("dpo", "ppo")]))
    [table] = contrast_tables(results, "polite")
    frame = as_frame(table).set_index("contrast")
    assert frame["kind"].tolist() == ["declared"] + ["exploratory"] * 5
    assert frame.index.tolist() == [
        "dpo vs ppo",
        "dpo vs best_of_n",
        "ppo vs best_of_n",
        "dpo vs sft",
        "ppo vs sft",
        "best_of_n vs sft",
    ]
    assert frame["verdict"].tolist() == ["ppo is better"] + ["—"] * 5
    assert (frame["Holm p"][1:] == "—").all()
    assert frame.loc["dpo vs ppo", "Holm p"] == "0.031"
    assert frame.loc["dpo vs ppo", "probability of improvement"] == "0%"
    assert frame.loc["dpo vs ppo", "difference"].startswith("-2")


def test_many_exploratory_comparisons_fold_away(tmp_path: Path) -> None:
    runs = make_runs(["polite"], list(LEARNS_FROM)[:12], 1)
    results = load_results(write_folder(tmp_path, runs, [("dpo", "ppo")]))
    tested, exploratory = contrast_tables(results, "polite")
    assert len(tested.rows) == 1 and not tested.folded
    assert len(exploratory.rows) == 12 * 11 / 2 - 1 and exploratory.folded


def recorded(seeds: int, seed_deviation: float = 0.02, prompt_deviation: float = 1.0) -> Results:
    """DPO above PPO by half a deviation over prompts."""
    difference = crossed_values(0.5, seeds, 64, seed_deviation, prompt_deviation)
    rewards = {"ppo": np.zeros_like(difference), "dpo": difference}
    return recorded_results(rewards, [("dpo", "ppo")])


def test_a_verdict_on_recorded_data_says_what_it_rests_on() -> None:
    results = recorded(6)
    assert verdict_statement(results, TASK) == (
        "dpo is better than ppo (p = 0.031, 6 seeds and 64 prompts)."
    )
    [note] = prompts_note(results, TASK)
    assert note.startswith("All 6 seeds share 64 test prompts, a sample from the data.")
    [table] = contrast_tables(results, TASK)
    row = as_frame(table).iloc[0]
    assert (row["seeds"], row["prompts"], row["sign-flip p"]) == ("6", "64", "0.031")
    [comparison] = with_verdict(results, TASK)
    assert comparison.contrast.over_prompts is not None
    assert float(row["two-way p"]) == pytest.approx(comparison.contrast.over_prompts.p, rel=0.1)
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
    assert verdict_statement(results, TASK).startswith("Too few seeds for a verdict")
    [note] = prompts_note(results, TASK)
    assert note.startswith("Intervals are over 64 test prompts, for this one training")
    row = as_frame(contrast_tables(results, TASK)[0]).iloc[0]
    assert row["difference"].startswith("+0.") and "[" in row["difference"]
    assert row["two-way p"] == "—"


def test_missing_rewards_on_each_prompt_are_said_to_be_missing() -> None:
    results = recorded(6)
    results = replace(results, samples=results.samples.iloc[:0])
    assert verdict_statement(results, TASK).startswith("No verdict: samples.parquet lacks")
    [note] = prompts_note(results, TASK)
    assert note.startswith("samples.parquet lacks the rewards on each test prompt")


def test_embedded_tasks_say_nothing_of_prompts(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 6)
    results = load_results(write_folder(tmp_path, runs, [("dpo", "ppo")]))
    section = contrasts_section(results)
    assert section is not None and section.parts[0].paragraphs == ()
    assert "prompts" not in as_frame(contrast_tables(results, "polite")[0]).columns


def test_contrasts_of_all_tasks_count_for_the_seeds_that_a_verdict_needs(tmp_path: Path) -> None:
    runs = make_runs(["polite", "haiku", "exact"], ["sft", "dpo", "ppo"], 6)
    runs.loc[runs["method"] == "ppo", "reward"] += 2.0
    results = load_results(write_folder(tmp_path, runs, [("dpo", "ppo")]))
    assert verdict_statement(results, "exact") == (
        "No difference shown between dpo and ppo (Holm-corrected sign-flip p = 0.094, 6 seeds)."
    )
    [warning] = unreachable_verdict_warnings(results, "exact")
    assert "3 contrasts are tested on 3 tasks" in warning and "Run 7 seeds" in warning

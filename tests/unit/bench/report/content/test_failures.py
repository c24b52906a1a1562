"""What a report says of runs that failed, and that no table misses a failed method."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from helpers.synthetic import fail, make_runs, write_folder
from helpers.synthetic_judges import add_judges

from bench.report.content.failures import failure_statement, failure_warnings
from bench.report.sections.answer import answer
from bench.report.sections.contrasts import contrast_tables
from bench.report.sections.cost import usage_table
from bench.report.sections.judge import chosen_table
from bench.report.sections.likelihood import likelihood_table
from bench.report.sections.main import main_table
from bench.report.sections.settings import settings_table
from bench.report.sections.shape import shape_table
from bench.report.sections.temperatures import temperature_table
from bench.report.sections.win_rates import win_rate_table
from bench.results.loading import Results, load_results

REASON = "RuntimeError: sampling and scoring differ. Set loading.dtype to float32"


def without(folder: Path, runs: pd.DataFrame, lost: pd.Series) -> Results:
    results = load_results(write_folder(folder, fail(runs, lost, REASON), [("dpo", "ppo")]))
    frame = results.head_to_head
    failed = set(results.failed("polite"))
    frame = frame[~frame["method"].isin(failed) & ~frame["opponent"].isin(failed)]
    return replace(results, head_to_head=frame)


@pytest.fixture(scope="module")
def ppo_failed(tmp_path_factory: pytest.TempPathFactory) -> Results:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 2)
    folder = tmp_path_factory.mktemp("run")
    without(folder, runs, runs["method"] == "ppo")
    add_judges(folder, "polite")
    return load_results(folder)


def test_the_answer_is_about_the_methods_that_finished(ppo_failed: Results) -> None:
    part = answer(ppo_failed, "polite")
    assert part.statement == (
        "ppo failed: none of its 8 runs finished. No verdict on dpo and ppo: ppo has no result."
    )
    assert part.warnings[0] == (
        "ppo failed in 8 of 8 runs: sampling and scoring differ. Set loading.dtype to float32."
    )
    [facts] = part.paragraphs
    assert facts.startswith("dpo is best on validation prompts of the methods that finished; on ")
    assert "above sft's" in facts and "judge reward" in facts and "ppo" not in facts


@pytest.mark.parametrize(
    "table",
    [
        main_table,
        usage_table,
        chosen_table,
        likelihood_table,
        settings_table,
        shape_table,
        temperature_table,
        win_rate_table,
    ],
)
def test_a_failed_method_is_listed_as_failed(ppo_failed: Results, table: object) -> None:
    assert callable(table)
    names = [row["method"] for row in table(ppo_failed, "polite").rows]
    assert "ppo (failed)" in names and "dpo" in names and "ppo" not in names


def test_a_contrast_with_a_failed_method_says_so(ppo_failed: Results) -> None:
    first, *_ = (row for table in contrast_tables(ppo_failed, "polite") for row in table.rows)
    assert (first["contrast"], first["verdict"]) == ("dpo vs ppo", "ppo failed")


def test_only_sft_left_is_no_lack_of_methods(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "ppo"], 1)
    folder = write_folder(tmp_path, fail(runs, runs["method"] == "ppo", REASON))
    assert answer(load_results(folder), "polite").statement == (
        "ppo failed: none of its 4 runs finished. No verdict: only sft finished."
    )


def test_a_stage_that_failed_names_all_methods_at_once(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 3)
    results = without(tmp_path, runs, runs["seed"] == 1)
    assert failure_statement(results, "polite") == ""
    assert failure_warnings(results, "polite") == [
        "sft failed in 1 of 3 runs, dpo in 4 of 12 and ppo in 4 of 12: sampling and scoring "
        "differ. Set loading.dtype to float32."
    ]


def test_a_method_that_lost_seeds_is_told_from_one_that_failed(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 3)
    lost = (runs["method"] == "ppo") & (runs["seed"] == 2)
    lost |= (runs["method"] == "dpo") & (runs["seed"] < 2)
    warnings = failure_warnings(without(tmp_path, runs, lost), "polite")
    assert warnings[1] == (
        "Seeds lost: dpo (0, 1) and ppo (2). Differences are over shared seeds. No rank."
    )


def test_a_long_reason_is_cut_and_many_methods_are_counted(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo", "kto", "ipo"], 2)
    long = "ValueError: " + " ".join(f"word{i}" for i in range(40))
    failed = fail(runs, runs["method"] != "sft", long)
    results = load_results(write_folder(tmp_path, failed))
    assert failure_statement(results, "polite") == (
        "4 methods failed: none of their runs finished."
    )
    [warning] = failure_warnings(results, "polite")
    assert warning.startswith("4 methods failed in 32 of 32 runs: word0 word1 ")
    assert warning.endswith(" … (see Failures).") and len(warning.split()) == 25


def test_many_reasons_are_counted(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 2)
    for strength, seed in [(0.1, 0), (0.1, 1), (0.2, 0), (0.2, 1), (0.4, 0), (0.4, 1)]:
        lost = (runs["strength"] == strength) & (runs["seed"] == seed) & (runs["method"] == "ppo")
        runs = fail(runs, lost, f"reason {'abcdef'[int(strength * 5) * 2 + seed]}")
    warnings = failure_warnings(load_results(write_folder(tmp_path, runs)), "polite")
    assert warnings[4] == "2 more runs did not finish, for 2 other reasons (see Failures)."

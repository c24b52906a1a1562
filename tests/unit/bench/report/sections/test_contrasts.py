"""The table of comparisons."""

from __future__ import annotations

from pathlib import Path

from helpers.report import as_frame
from helpers.synthetic import make_runs, write_folder
from helpers.synthetic_design import LEARNS_FROM

from bench.report.sections.contrasts import contrast_tables
from bench.results.loading import load_results


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

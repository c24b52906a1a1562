"""The table of regret and its parts."""

from __future__ import annotations

from pathlib import Path

from helpers.report import as_frame
from helpers.synthetic import make_runs, write_folder

from bench.report.sections.regret import regret_section, regret_table
from bench.results.loading import load_results


def test_every_strength_has_its_regret_in_parts(tmp_path: Path) -> None:
    runs = make_runs(["polite", "exact"], ["sft", "dpo", "ppo"], 2)
    results = load_results(write_folder(tmp_path, runs))
    table = as_frame(regret_table(results, "exact"))
    assert table["method"].tolist() == ["dpo"] * 4 + ["ppo"] * 4
    first = table.iloc[0]
    assert (first["KL strength"], first["regret"], first["seeds"]) == ("0.1", "1.00", "2")
    assert (first["share of the optimum"], first["worst seed"]) == ("60%", "59%")
    parts = ("optimization error", "reward-model error", "interaction")
    assert [first[part] for part in parts] == ["0.30", "0.90", "-0.20"]
    section = regret_section(results)
    assert section is not None and [chart.name for chart in section.charts] == ["regret"]
    # Nothing is known of the other task.
    assert not regret_table(results, "polite")

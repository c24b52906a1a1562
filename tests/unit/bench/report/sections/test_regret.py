"""The table of regret and its parts."""

from __future__ import annotations

import json
from pathlib import Path

from helpers.report import as_frame
from helpers.synthetic import make_runs, write_folder

from bench.analysis.selection import select_settings
from bench.report.sections.regret import regret_section, regret_tables
from bench.results.loading import load_results


def test_every_strength_has_its_regret_in_parts(tmp_path: Path) -> None:
    runs = make_runs(["polite", "exact"], ["sft", "dpo", "ppo"], 2)
    results = load_results(write_folder(tmp_path, runs))
    selected, every = regret_tables(results, "exact")
    table = as_frame(every).sort_values("method", kind="stable")
    assert every.folded and table["method"].tolist() == ["dpo"] * 4 + ["ppo"] * 4
    assert [row["strength"].value for row in every.rows[:4]] == [0.1, 0.2, 0.4, 0.8]
    assert sorted(as_frame(selected)["method"]) == ["dpo", "ppo"] and not selected.folded
    chosen = {row["method"]: row["strength"].value for row in selected.rows}
    assert chosen == {
        method: json.loads(params)[name]
        for method, params in select_settings(results.runs, "exact").items()
        for name in json.loads(params)
    }
    first = table.iloc[0]
    assert (first["KL strength"], first["regret"], first["seeds"]) == ("0.1", "1.00", "2")
    assert (first["share of the best J"], first["worst seed"]) == ("60%", "59%")
    parts = ("optimization error", "reward-model error", "interaction")
    assert [first[part] for part in parts] == ["0.30", "0.90", "-0.20"]
    section = regret_section(results)
    assert section is not None and [chart.name for chart in section.charts] == ["regret"]
    # Nothing is known of the other task.
    assert not any(regret_tables(results, "polite"))

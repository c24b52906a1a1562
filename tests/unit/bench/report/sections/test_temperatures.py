"""The comparison at other temperatures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from helpers.report import as_frame
from helpers.synthetic import make_runs, write_folder

from bench.report.sections.temperatures import temperature_table, temperatures_section
from bench.results.loading import load_results


def test_each_temperature_has_a_row_for_each_method(tmp_path: Path) -> None:
    results = load_results(write_folder(tmp_path, make_runs(["polite"], ["sft", "dpo"], 2)))
    table = as_frame(temperature_table(results, "polite"))
    assert table["temperature"].tolist() == ["0", "0", "0.7", "0.7"]
    assert table["method"].tolist() == ["sft", "dpo"] * 2
    assert table["win rate vs SFT"].tolist()[:2] == ["50%", "72%"]
    assert temperatures_section(replace(results, temperatures=results.temperatures[:0])) is None

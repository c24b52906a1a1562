"""The table of methods: settings that differ between tasks, papers, and what is not known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from helpers.report import as_frame
from helpers.synthetic import make_runs, write_folder

from bench.report.content.display import Link
from bench.report.sections.methods import methods_table
from bench.results.loading import load_results


def test_settings_say_what_differs_between_tasks(tmp_path: Path) -> None:
    runs = make_runs(["polite", "exact", "haiku"], ["sft", "dpo"], 1)
    results = load_results(write_folder(tmp_path, runs))
    row = as_frame(methods_table(results)).set_index("method").loc["dpo"]
    assert row["settings tried"] == "beta 0.1 / 0.2 / 0.4 / 0.8"
    assert row["other settings"] == "examples 4096, masked yes, epochs 1; on exact: epochs 2"
    assert row["paper"] == Link("Author of dpo, 2023", "https://example.org/dpo")
    assert (row["learns from"], row["strength"]) == ("pairs", "beta")
    settings = results.method_settings
    tried = settings["tried"].where(settings["task"] != "haiku", "{}")
    fewer = replace(results, method_settings=settings.assign(tried=tried))
    shown = as_frame(methods_table(fewer)).set_index("method").loc["dpo", "settings tried"]
    assert shown == "beta 0.1 / 0.2 / 0.4 / 0.8; on haiku: beta not set"


def test_results_without_settings_list_the_methods_all_the_same(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, make_runs(["polite"], ["sft", "dpo", "ppo"], 2))
    (folder / "methods.csv").unlink()
    table = as_frame(methods_table(load_results(folder)))
    assert table["method"].tolist() == ["sft", "dpo", "ppo"]
    assert table["learns from"].tolist() == ["nothing further", "pairs", "reward"]
    assert set(table["paper"]) == {"—"}

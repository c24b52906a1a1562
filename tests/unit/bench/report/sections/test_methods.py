"""The table of methods: settings by task, papers as links, and results without methods.csv."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.report import as_frame
from helpers.synthetic import make_runs, write_folder

from bench.report.content.display import Link
from bench.report.sections.methods import methods_table
from bench.results.loading import Results, load_results
from bench.results.schema import METHODS


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    runs = make_runs(["polite", "exact", "haiku"], ["sft", "dpo", "ppo"], 1)
    return load_results(write_folder(tmp_path_factory.mktemp("run"), runs))


def test_settings_say_what_differs_between_tasks(results: Results) -> None:
    row = as_frame(methods_table(results)).set_index("method").loc["dpo"]
    assert row["settings tried"] == "beta 0.1 / 0.2 / 0.4 / 0.8"
    assert row["other settings"] == "examples 4096, masked yes, epochs 1; on exact: epochs 2"
    assert row["paper"] == Link("Author of dpo, 2023", "https://example.org/dpo")
    assert (row["learns from"], row["strength"]) == ("pairs", "beta")


def test_a_setting_that_a_task_lacks_is_said(results: Results) -> None:
    settings = results.method_settings
    tried = settings["tried"].where(settings["task"] != "haiku", "{}")
    fewer = replace(results, method_settings=settings.assign(tried=tried))
    shown = as_frame(methods_table(fewer)).set_index("method").loc["dpo", "settings tried"]
    assert shown == "beta 0.1 / 0.2 / 0.4 / 0.8; on haiku: beta not set"


@pytest.mark.parametrize("text", ["", "[", "3"])
def test_settings_that_cannot_be_read_are_a_dash(results: Results, text: str) -> None:
    unreadable = replace(results, method_settings=results.method_settings.assign(tried=text))
    assert set(as_frame(methods_table(unreadable))["settings tried"]) == {"—"}


def test_without_the_file_the_manifest_tells_what_methods_are(
    results: Results, tmp_path: Path
) -> None:
    without = replace(results, method_settings=METHODS.read(tmp_path))
    table = as_frame(methods_table(without))
    assert table["method"].tolist() == ["sft", "dpo", "ppo"]
    assert table["learns from"].tolist() == ["nothing further", "pairs", "reward"]
    assert set(table["paper"]) == {"—"}

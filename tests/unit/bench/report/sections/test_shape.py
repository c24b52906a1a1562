"""Length, diversity and modes beside the optimum's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.report import as_frame
from helpers.synthetic import make_runs, write_folder

from bench.report.sections.shape import shape_section, shape_table
from bench.results.loading import Results, load_results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    runs = make_runs(["polite", "exact"], ["sft", "dpo"], 2)
    return load_results(write_folder(tmp_path_factory.mktemp("run"), runs))


def test_modes_are_shown_only_where_responses_can_be_listed(results: Results) -> None:
    listed, sampled = (as_frame(shape_table(results, task)) for task in ("exact", "polite"))
    modes = {"probability of the modes", "that of the optimum"}
    assert set(listed) - set(sampled) == modes
    row = listed.set_index("method").loc["dpo"]
    assert row["tokens of the optimum"] == "17.5"
    assert row[["probability of the modes", "that of the optimum"]].tolist() == ["35%", "52%"]


def test_an_optimum_that_a_seed_lacks_is_a_dash(results: Results) -> None:
    optimum = results.optimum.copy()
    optimum.loc[optimum["seed"] == 1, "optimum_tokens"] = float("nan")
    table = as_frame(shape_table(replace(results, optimum=optimum), "polite")).set_index("method")
    assert table.loc["dpo", "tokens of the optimum"] == "—"


def test_without_an_optimum_there_is_no_section(results: Results) -> None:
    assert shape_section(replace(results, optimum=results.optimum.iloc[:0])) is None

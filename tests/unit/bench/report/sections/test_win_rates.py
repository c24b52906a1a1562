"""Win rates as readers see them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.report import as_frame
from helpers.synthetic import make_runs, write_folder
from helpers.synthetic_design import GRID

from bench.report.sections.win_rates import win_rate_table, win_rates_section
from bench.results.loading import Results, load_results
from bench.results.schema import HEAD_TO_HEAD


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    runs = make_runs(["polite"], list(GRID), 6)
    return load_results(write_folder(tmp_path_factory.mktemp("run"), runs, [("dpo", "ppo")]))


def test_win_rates_are_percentages_with_one_decimal(results: Results) -> None:
    first = as_frame(win_rate_table(results, "polite")).iloc[0]
    rows = results.head_to_head.query("method == 'dpo' and opponent == 'ppo'")
    assert (first["method"], first["against"]) == ("dpo", "ppo")
    assert first["win rate"] == f"{100 * rows['win_rate'].mean():.1f}%"


def test_what_cannot_be_told_is_a_dash(results: Results) -> None:
    keys = ["task", "seed", "method", "opponent"]
    earlier = results.head_to_head.groupby(keys, as_index=False, sort=False)["win_rate"].mean()
    old = replace(results, head_to_head=HEAD_TO_HEAD.typed(earlier))
    first = as_frame(win_rate_table(old, "polite")).iloc[0]
    assert first["length-controlled"] == first["tokens"] == "—"
    assert first["standard error"] != "—"


def test_strengths_stand_below_with_how_well_they_fit(results: Results) -> None:
    section = win_rates_section(results)
    assert section is not None
    strengths = section.parts[-1]
    assert strengths.heading == "polite: support replies: on one scale"
    assert strengths.paragraphs[0].startswith("These strengths reproduce every win rate to within ")
    frame = as_frame(strengths.tables[0])
    assert frame["method"].tolist()[0] == "ppo_gold (privileged)" and len(frame) == 5


def test_without_comparisons_there_is_no_section(results: Results) -> None:
    assert win_rates_section(replace(results, head_to_head=results.head_to_head[:0])) is None

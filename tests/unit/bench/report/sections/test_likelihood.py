"""How the log-probability of the feedback's responses changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.report import as_frame
from helpers.synthetic import make_runs, write_folder

from bench.analysis.selection import selected_rows
from bench.report.sections.likelihood import likelihood_section, likelihood_table
from bench.results.loading import Results, load_results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    runs = make_runs(["polite"], ["sft", "dpo", "best_of_n"], 2)
    return load_results(write_folder(tmp_path_factory.mktemp("run"), runs))


def test_changes_are_means_over_seeds_and_the_margin_is_their_difference(results: Results) -> None:
    table = as_frame(likelihood_table(results, "polite")).set_index("method")
    rows = selected_rows(results.runs, "polite")
    chosen, rejected = (
        rows.loc[rows["method"] == "dpo", f"{side}_logp_change"].mean()
        for side in ("chosen", "rejected")
    )
    assert table.loc["dpo"].tolist() == [f"{x:.2f}" for x in (chosen, rejected, chosen - rejected)]
    # SFT and best-of-n train nothing here.
    assert list(table.index) == ["dpo"]


def test_the_chart_needs_checkpoints(results: Results) -> None:
    section = likelihood_section(results)
    assert section is not None and [chart.name for chart in section.charts] == ["likelihood"]
    without = likelihood_section(replace(results, checkpoints=results.checkpoints.iloc[:0]))
    assert without is not None and not without.charts and any(without.parts)


def test_without_chosen_and_rejected_responses_nothing_is_shown(results: Results) -> None:
    unknown = results.runs.assign(chosen_logp_change=np.nan, rejected_logp_change=np.nan)
    bare = replace(results, runs=unknown, checkpoints=results.checkpoints.iloc[:0])
    assert not likelihood_section(bare)

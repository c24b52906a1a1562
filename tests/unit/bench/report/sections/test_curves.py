"""Training curves: which of a method's own numbers are drawn."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from helpers.synthetic import make_runs, write_folder

from bench.report.sections.curves import curves_section, selected_curves
from bench.results.loading import Results, load_results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 2)
    return load_results(write_folder(tmp_path_factory.mktemp("run"), runs))


def test_reward_and_kl_are_drawn_where_logged_and_else_the_loss(results: Results) -> None:
    with_loss = results.curves[results.curves["method"] == "ppo"].assign(metric="loss")
    logged = replace(results, curves=pd.concat([results.curves, with_loss]))
    points = selected_curves(logged, "polite")
    metrics = points.groupby("method")["metric"].apply(set).to_dict()
    assert metrics == {"dpo": {"loss"}, "ppo": {"reward", "kl"}}
    assert points.groupby("method")["params"].nunique().eq(1).all()


def test_without_curves_there_is_no_section(results: Results) -> None:
    assert curves_section(replace(results, curves=results.curves.iloc[:0])) is None

"""The table of turning points."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.report import as_frame
from helpers.synthetic import make_runs, write_folder

from bench.report.sections.overoptimization import (
    fit_table,
    overoptimization_section,
    turning_table,
)
from bench.results.loading import Results, load_results


@pytest.fixture
def results(tmp_path: Path) -> Results:
    runs = make_runs(["polite"], ["sft", "ppo", "ppo_gold"], seeds=2)
    kl = runs["kl"]
    far = runs["method"] == "ppo"
    runs.loc[far, "reward"] = (1.08 + np.sqrt(kl) * (2.0 - 0.8 * np.sqrt(kl)))[far]
    folder = write_folder(tmp_path, runs)
    (folder / "checkpoints.csv").unlink()
    return load_results(folder)


def test_the_table_says_when_gold_falls_while_the_proxy_climbs(results: Results) -> None:
    table = as_frame(turning_table(results, "polite")).set_index("method")
    assert float(table.loc["ppo", "gold turns at KL"]) == pytest.approx((2 / 1.6) ** 2, abs=0.25)
    assert float(table.loc["ppo", "gold change beyond"]) < -0.1
    assert float(table.loc["ppo", "proxy change beyond"]) > 0.1
    privileged = table.loc["ppo_gold (privileged)"]
    assert privileged["gold turns at KL"].startswith("not up to")
    assert privileged["proxy change beyond"] == "—" == privileged["points beyond"]
    assert int(table.loc["ppo", "points beyond"]) >= 4
    rows = turning_table(results, "polite").rows
    cells = {row["method"]: row["kl"] for row in rows}
    furthest = cells["ppo_gold (privileged)"]
    assert furthest == f"not up to {furthest.value:.2f}"


def test_what_is_not_claimed_has_its_reason(results: Results) -> None:
    runs = results.runs
    falling = replace(results, runs=runs.assign(proxy_reward=-runs["kl"]))
    table = as_frame(turning_table(falling, "polite")).set_index("method")
    assert table.loc["ppo", "gold turns at KL"] == "no turn shown: proxy falls too"
    assert math.isnan(turning_table(falling, "polite").rows[0]["kl"].value)


def test_both_fits_are_there_on_demand(results: Results) -> None:
    table = fit_table(results, "polite")
    assert table.folded and [row["method"] for row in table.rows].count("ppo") == 2
    first = next(row for row in table.rows if row["method"] == "ppo")
    assert first["form"].startswith("best-of-n") and first["a"].value == pytest.approx(2, abs=0.1)


def test_an_outlier_does_not_set_the_scale_and_is_counted(results: Results) -> None:
    rows = results.runs[(results.runs["method"] == "ppo") & (results.runs["split"] == "test")]
    runs = results.runs.copy()
    runs.loc[rows.index[0], "kl"] = 400.0
    section = overoptimization_section(replace(results, runs=runs))
    assert section is not None
    [axes, *_] = [ax for ax in section.charts[0].figure.axes if ax.get_title().endswith(": ppo")]
    assert axes.get_xlim()[1] < 5
    assert "1 point beyond" in [text.get_text() for text in axes.texts]


def test_the_section_says_what_gives_the_reward(results: Results) -> None:
    judged = replace(results, runs=results.runs.assign(reward_source="judge"))
    section = overoptimization_section(judged)
    assert section is not None
    assert "the judge reward turns down" in section.introduction


def test_too_few_points_make_no_section(results: Results) -> None:
    few = results.runs[results.runs["method"] == "sft"]
    assert overoptimization_section(replace(results, runs=few)) is None

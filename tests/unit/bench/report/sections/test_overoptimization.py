"""The table of turning points."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.report import as_frame
from helpers.synthetic import make_runs, write_folder

from bench.report.sections.overoptimization import overoptimization_section, turning_table
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
    assert float(table.loc["ppo", "gold, turn to furthest"]) < -0.1
    assert float(table.loc["ppo", "proxy, turn to furthest"]) > 0.1
    privileged = table.loc["ppo_gold (privileged)"]
    assert privileged["gold turns at KL"].startswith("not up to")
    assert privileged["proxy, turn to furthest"] == "—"


def test_the_section_says_what_gives_the_reward(results: Results) -> None:
    judged = replace(results, runs=results.runs.assign(reward_source="judge"))
    section = overoptimization_section(judged)
    assert section is not None
    assert "the judge reward turns down" in section.introduction


def test_too_few_points_make_no_section(results: Results) -> None:
    few = results.runs[results.runs["method"] == "sft"]
    assert overoptimization_section(replace(results, runs=few)) is None

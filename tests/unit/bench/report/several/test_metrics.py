"""Differences between folders: paired where seeds are shared, and by hand or scipy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.report import as_frame
from helpers.several import run_folder
from helpers.synthetic_judges import add_judges
from scipy import stats

from bench.analysis.statistics import crossed_interval
from bench.report.content.display import Number
from bench.report.content.section import Table
from bench.report.several.folders import read_folders
from bench.report.several.metrics import Measured, average, difference, metrics_table

ONE, TWO = pd.Series([1.0, 2.0, 4.0], [0, 1, 2]), pd.Series([0.5, 1.0, 3.5], [0, 1, 2])


def test_shared_seeds_are_paired() -> None:
    interval, over = difference(Measured(ONE), Measured(TWO), paired=True)
    expected = stats.ttest_rel(ONE, TWO).confidence_interval()
    assert over == "3 seeds, paired"
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert interval.mean == pytest.approx(2 / 3)


def test_pairs_are_by_seed_and_only_of_shared_ones() -> None:
    other = pd.Series([3.5, 0.5, 99.0], [2, 0, 7])
    interval, over = difference(Measured(ONE), Measured(other), paired=True)
    assert over == "2 seeds, paired" and interval.mean == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("other", "paired"),
    [(TWO, False), (pd.Series([0.5, 1.0, 3.5], [2, 7, 8]), True)],
    ids=["not comparable", "one shared seed"],
)
def test_other_seeds_are_not_paired(other: pd.Series, paired: bool) -> None:
    interval, over = difference(Measured(ONE), Measured(other), paired)
    expected = stats.ttest_ind(ONE, other, equal_var=False).confidence_interval()
    assert over == "3 and 3 seeds, not paired"
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_shared_prompts_count_as_a_sample() -> None:
    random = np.random.default_rng(0)
    tables = [
        pd.DataFrame(random.normal(size=(3, 6)), [0, 1, 2], list(prompts))
        for prompts in ("abcdef", "fbcdag")
    ]
    measured = [Measured(table.mean(axis="columns"), table) for table in tables]
    interval, over = difference(*measured, paired=True)
    shared = list("abcdf")
    expected = crossed_interval((tables[0][shared] - tables[1][shared]).to_numpy())
    assert over == "3 seeds and 5 prompts, paired"
    assert interval == pytest.approx(expected)
    assert average(measured[0]) == pytest.approx(crossed_interval(tables[0].to_numpy()))


def cell(table: Table, method: str, metric: str, column: str) -> Number:
    [row] = [row for row in table.rows if (row["method"], row["metric"]) == (method, metric)]
    found = row[column]
    assert isinstance(found, Number)
    return found


def test_the_table_holds_means_and_differences(tmp_path: Path) -> None:
    def better(runs: pd.DataFrame) -> pd.DataFrame:
        return runs.assign(reward=runs["reward"] + 0.25 * (runs["method"] == "dpo"))

    paths = [run_folder(tmp_path / "a", seeds=4), run_folder(tmp_path / "b", seeds=3, runs=better)]
    # Made-up rewards depend on the number of seeds: the same runs without the last seed.
    runs = pd.read_csv(paths[0] / "runs.csv")
    better(runs[runs["seed"] < 3]).to_csv(paths[1] / "runs.csv", index=False)
    table = metrics_table(read_folders(paths), "polite", paired=True)
    shown = as_frame(table)
    assert list(shown.columns) == ["method", "metric", "a", "b", "b minus a", "difference over"]
    gain = cell(table, "dpo", "gold reward", "difference_1")
    assert gain.value == pytest.approx(0.25) and gain.startswith("+0.25 [0.25, 0.25]")
    assert cell(table, "ppo", "gold reward", "difference_1") == "0.00 [0.00, 0.00]"
    assert cell(table, "ppo", "KL (nats)", "difference_1").value == 0
    assert set(shown["difference over"]) == {"3 seeds, paired"}
    own = cell(table, "dpo", "gold reward", "folder_0")
    rows = runs[(runs["method"] == "dpo") & (runs["split"] == "test")]
    means = rows.groupby("params")["reward"].mean()
    assert np.isclose(means, own.value).any() and own.low < own.value < own.high
    assert not set(shown["metric"][shown["method"] == "sft"]) & {"KL (nats)", "win rate vs SFT"}


def test_a_method_without_a_result_is_a_dash(tmp_path: Path) -> None:
    def failed(runs: pd.DataFrame) -> pd.DataFrame:
        return runs.assign(status=runs["status"].where(runs["method"] != "dpo", "failed"))

    paths = [run_folder(tmp_path / "a"), run_folder(tmp_path / "b", runs=failed)]
    table = metrics_table(read_folders(paths), "polite", paired=True)
    assert cell(table, "dpo", "gold reward", "folder_1") == "—"
    assert cell(table, "dpo", "gold reward", "difference_1") == "—"
    assert cell(table, "ppo", "gold reward", "difference_1") != "—"


def test_one_seed_has_differences_without_intervals(tmp_path: Path) -> None:
    paths = [run_folder(tmp_path / name, seeds=1) for name in "ab"]
    table = metrics_table(read_folders(paths), "polite", paired=True)
    assert cell(table, "dpo", "gold reward", "difference_1") == "0.00"


def test_a_judges_rewards_are_over_prompts_too(tmp_path: Path) -> None:
    paths = [run_folder(tmp_path / name) for name in "ab"]
    for path in paths:
        add_judges(path, "polite")
    table = metrics_table(read_folders(paths), "polite", paired=True)
    over = {(row["metric"], row["seeds"]) for row in table.rows if row["method"] == "dpo"}
    assert ("judge reward", "2 seeds and 4 prompts, paired") in over
    assert ("KL (nats)", "2 seeds, paired") in over

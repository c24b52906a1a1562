"""What a method is worth after trying some of its settings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers.synthetic import fail, make_runs, write_folder
from helpers.synthetic_design import GRID

from bench.analysis.effort import best_of_k_gains, efforts
from bench.results.loading import Results, load_results
from bench.results.schema import RUNS


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    runs = make_runs(["polite"], list(GRID), 6)
    return load_results(write_folder(tmp_path_factory.mktemp("run"), runs))


def test_the_gain_after_k_settings_is_the_reward_after_k_less_that_of_sft(results: Results) -> None:
    runs = results.runs
    gains = best_of_k_gains(runs, "ppo")
    assert list(gains.index) == [1, 2, 3, 4] and len(gains.columns) == 6
    [ppo] = [row for row in efforts(runs, results.frontier, "polite") if row.method == "ppo"]
    sft = runs[(runs["split"] == "test") & (runs["method"] == "sft")]["reward"].mean()
    assert (gains.mean(axis=1) + sft).tolist() == pytest.approx(ppo.best_of)


def test_a_setting_that_lost_a_seed_is_not_among_the_settings_tried(results: Results) -> None:
    runs = results.runs
    lost = (runs["method"] == "ppo") & (runs["strength"] == 0.1) & (runs["seed"] == 2)
    gains = best_of_k_gains(fail(runs, lost, "lost"), "ppo")
    assert list(gains.index) == [1, 2, 3] and len(gains.columns) == 6
    assert np.isfinite(gains.to_numpy()).all()


def test_the_worth_of_all_settings_together_by_hand() -> None:
    # KL, reward on validation and on test, of two settings that both seeds agree on.
    settings = {"weak": (0.5, 1.2, 1.0), "strong": (2.0, 1.8, 2.0)}
    rows = [
        {
            "method": method,
            "params": params,
            "seed": seed,
            "split": split,
            "kl": kl,
            "reward": reward,
        }
        for method, params, kl, by_split in (
            ("sft", "{}", 0.0, (0.0, 0.0)),
            *(("ppo", params, kl, rewards) for params, (kl, *rewards) in settings.items()),
        )
        for seed in (0, 1)
        for split, reward in zip(("validation", "test"), by_split, strict=True)
    ]
    runs = RUNS.typed(pd.DataFrame(rows).assign(task="polite", status="ok"))
    line = [("polite", seed, kl, kl) for seed in (0, 1) for kl in (0.0, 4.0)]
    frontier = pd.DataFrame(line, columns=["task", "seed", "kl", "reward"])
    [ppo] = efforts(runs, frontier, "polite")
    # Under the frontier 8; under the steps 1.5 * 1 + 2 * 2.
    assert ppo.area == pytest.approx(5.5 / 8, abs=1e-3)
    assert list(ppo.within.values()) == [1.0, 2.0, 2.0]
    assert ppo.best_of == [1.5, 2.0]
    assert (ppo.collapsed, ppo.runs) == (0, 4)
    runs.loc[(runs["params"] == "weak") & (runs["seed"] == 1), "reward"] = -1.0
    [ppo] = efforts(runs, frontier, "polite")
    assert ppo.collapsed == 1

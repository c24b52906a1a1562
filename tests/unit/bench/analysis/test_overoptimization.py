"""Gao's forms are recovered from points that follow them, and the turning point is theirs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.synthetic import make_runs, write_folder

from bench.analysis.overoptimization import fit, fits, gains, reach, turn_of, turns
from bench.results.loading import load_results


def points(reward: np.ndarray, d: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"d": d, "reward": reward, "proxy": d})


@pytest.mark.parametrize(("a", "b"), [(1.5, 0.4), (0.7, 0.9), (1.0, -0.2)])
def test_both_forms_are_recovered(a: float, b: float) -> None:
    d = np.linspace(0.05, 3.0, 30)
    best_of_n, rl = fit("best-of-n", d, d * (a - b * d)), fit("RL", d, d * (a - b * np.log(d)))
    for one in (best_of_n, rl):
        assert one is not None
        assert (one.a, one.b, one.error) == pytest.approx((a, b, 0.0), abs=1e-9)
    assert fits(points(d * (a - b * d), d))[0].form == "best-of-n"
    assert fits(points(d * (a - b * np.log(d)), d))[0].form == "RL"


def test_the_reward_turns_where_the_curve_is_highest_and_not_beyond_what_was_seen() -> None:
    d = np.linspace(0.1, 3.0, 40)
    fine = np.linspace(0.1, 3.0, 100_001)
    for curve in (lambda x: x * (1.5 - 0.4 * x), lambda x: x * (0.5 - 0.6 * np.log(x))):
        top = float(fine[np.argmax(curve(fine))])
        turn = turn_of("ppo", points(curve(d), d))
        assert turn is not None and turn.why_not == ""
        assert turn.kl == pytest.approx(top**2, abs=1e-3)
        assert turn.beyond == (d > top).sum()
    for rising in (d * (1.5 - 0.2 * d), d * 1.5):
        turn = turn_of("ppo", points(rising, d))
        assert turn is not None and math.isinf(turn.kl)
        assert turn.why_not == "beyond all points" and turn.beyond == 0
    assert turn_of("ppo", points(d, d).iloc[:3]) is None


def test_a_turn_is_claimed_only_with_a_good_fit_points_beyond_and_a_proxy_that_rises() -> None:
    d = np.linspace(0.1, 3.0, 60)
    curve = d * (1.5 - 0.4 * d)
    noise = np.random.default_rng(0).normal(size=60)

    def why_not(gain: np.ndarray, proxy: np.ndarray = d, at: np.ndarray = d) -> str:
        turn = turn_of("ppo", points(gain, at).assign(proxy=proxy))
        assert turn is not None
        return turn.why_not

    assert why_not(curve) == ""
    assert why_not(curve + 0.1 * noise) == ""
    assert why_not(curve + noise) == "poor fit"
    assert why_not(curve, proxy=curve) == "proxy falls too"
    short = d[d < 1.9]
    few = np.append(short, [2.0, 2.1])
    assert why_not(few * (1.5 - 0.4 * few), few, few) == "few points beyond"


def test_a_far_point_is_an_outlier() -> None:
    d = np.linspace(0.1, 2.0, 30)
    assert reach(d) == 2.0 == reach(np.append(d, 40.0))


def test_points_are_gains_over_the_seed_s_sft_policy_and_none_counts_twice(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "ppo", "best_of_n"], seeds=2)
    results = load_results(write_folder(tmp_path, runs))
    gained = gains(results, "polite")
    # 4 settings, 2 seeds: 5 checkpoints and a final policy of PPO, a final policy of best-of-n.
    assert (gained["method"] == "ppo").sum() == 4 * 2 * 6
    assert (gained["method"] == "best_of_n").sum() == 4 * 2
    test = runs[runs["split"] == "test"]
    start = test[(test["method"] == "sft") & (test["seed"] == 1)].iloc[0]
    ended = test[(test["method"] == "ppo") & (test["seed"] == 1)].iloc[0]
    final = gained[(gained["method"] == "ppo") & (gained["seed"] == 1) & gained["final"]]
    mine = final[final["params"] == ended["params"]].iloc[0]
    assert mine["reward"] == pytest.approx(ended["reward"] - start["reward"])
    assert mine["proxy"] == pytest.approx(ended["proxy_reward"] - start["proxy_reward"])
    assert mine["d"] == pytest.approx(math.sqrt(ended["kl"]))


def test_reward_falls_while_the_proxy_climbs(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "ppo", "ppo_gold"], seeds=2)
    kl = runs["kl"]
    far = runs["method"] == "ppo"
    runs.loc[far, "reward"] = (1.08 + np.sqrt(kl) * (2.0 - 0.8 * np.sqrt(kl)))[far]
    folder = write_folder(tmp_path, runs)
    (folder / "checkpoints.csv").unlink()
    results = load_results(folder)
    ppo, ppo_gold = turns(results, "polite")
    assert ppo.why_not == "" and ppo_gold.why_not == "beyond all points"
    assert (ppo.method, ppo_gold.method) == ("ppo", "ppo_gold")
    assert ppo.kl == pytest.approx((2 / 1.6) ** 2, abs=0.25)
    assert ppo.reward_change < -0.1
    assert ppo.proxy_change > 0.1
    assert math.isinf(ppo_gold.kl) and math.isnan(ppo_gold.reward_change)

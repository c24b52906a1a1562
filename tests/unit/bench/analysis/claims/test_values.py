"""From tables to a contrast's numbers, against results whose every number is known."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import pandas as pd
import pytest
from helpers.synthetic import make_results

from bench.analysis.claims.values import by_condition, by_seed
from bench.config.claim import ClaimContrast
from bench.results.loading import Results

SEEDS = 3


def runs_of(rewards: Mapping[tuple[str, str, float], float], **columns: float) -> pd.DataFrame:
    """Return runs with these rewards by task, method and strength, plus 10 times the seed.

    The KL is 1 over the strength.
    """
    rows = [
        {
            "task": task,
            "method": method,
            "params": json.dumps({"beta": strength}),
            "strength": strength,
            "seed": seed,
            "split": split,
            "status": "ok",
            "reward": reward + 10 * seed,
            "kl": 1 / strength,
            **columns,
        }
        for (task, method, strength), reward in rewards.items()
        for seed in range(SEEDS)
        for split in ("validation", "test")
    ]
    return pd.DataFrame(rows)


def contrast(**fields: object) -> ClaimContrast:
    usual = {"name": "it", "of": "dpo", "predicted": "higher", "bound": 0.1}
    return ClaimContrast.model_validate(usual | fields)


def numbers(results: Results, of: ClaimContrast) -> list[float]:
    return by_seed(of, by_condition(results, of)).tolist()


REWARDS = {
    ("a", "dpo", 1.0): 2.0,
    ("a", "dpo", 0.5): 3.0,
    ("a", "ppo", 1.0): 1.0,
    ("b", "dpo", 1.0): 5.0,
    ("b", "ppo", 1.0): 4.5,
}


def test_the_selected_settings_are_compared_seed_by_seed() -> None:
    results = make_results({"runs": runs_of(REWARDS)})
    assert numbers(results, contrast(quantity="reward", minus="ppo", task="a")) == [2.0] * SEEDS


def test_a_setting_can_be_named() -> None:
    results = make_results({"runs": runs_of(REWARDS)})
    side = {"method": "dpo", "params": {"beta": 1.0}}
    found = numbers(results, contrast(quantity="reward", of=side, minus="ppo", task="a"))
    assert found == [1.0] * SEEDS


def test_runs_that_all_failed_have_no_number() -> None:
    runs = runs_of(REWARDS)
    runs.loc[runs["method"] == "dpo", "status"] = "failed"
    results = make_results({"runs": runs})
    for side in ("dpo", {"method": "dpo", "params": {"beta": 1.0}}):
        assert numbers(results, contrast(quantity="reward", of=side, task="a")) == []


def test_an_interaction_is_a_difference_of_differences() -> None:
    results = make_results({"runs": runs_of(REWARDS)})
    of = contrast(quantity="reward", minus="ppo", weights={"a": 1.0, "b": -1.0})
    assert numbers(results, of) == [1.5] * SEEDS
    conditions = by_condition(results, of).groupby("task")["value"].mean()
    assert conditions.to_dict() == {"a": 2.0, "b": 0.5}


def test_a_trend_is_a_slope_over_the_levels() -> None:
    levels = {"a": 1.0, "b": 2.0, "c": 4.0, "d": 9.0}
    rewards = {(task, "dpo", 1.0): 7.0 - 2.5 * level for task, level in levels.items()}
    results = make_results({"runs": runs_of(rewards)})
    found = numbers(results, contrast(quantity="reward", levels=levels))
    assert found == pytest.approx([-2.5] * SEEDS)


def test_the_optima_of_the_bandit_are_those_of_the_paper() -> None:
    results = make_results({"runs": runs_of({("a", "dpo", 1.0): 1.0, ("a", "ppo", 1.0): 1.0})})
    name = "most unlabeled mass at an optimum"
    # All but the least that y1 can have on the grid.
    assert numbers(results, contrast(quantity=name, task="a")) == pytest.approx([0.995] * SEEDS)
    assert numbers(results, contrast(quantity=name, of="ppo", task="a")) == [0.0] * SEEDS
    results = make_results({"runs": runs_of({("a", "dpo", 10.0): 1.0, ("a", "ipo", 10.0): 1.0})})
    name, params = "least KL at an optimum", {"beta": 10.0}
    of_dpo, of_ipo = (
        numbers(results, contrast(quantity=name, of={"method": m, "params": params}, task="a"))
        for m in ("dpo", "ipo")
    )
    assert of_dpo == pytest.approx([math.log(2)] * SEEDS)
    # The margin is 1 / 20.
    assert of_ipo == pytest.approx([0.0003] * SEEDS, abs=2e-4)


def turning(*curves: tuple[str, float, float, int]) -> Results:
    """Return results where dpo has d (a - b d) on each task, at so many distances d."""
    rewards = {(task, "sft", 1.0): 0.0 for task, *_ in curves}
    for task, a, b, count in curves:
        ds = [0.3 * i for i in range(1, count + 1)]
        rewards |= {(task, "dpo", 1 / d**2): d * (a - b * d) for d in ds}
    runs = runs_of(rewards, proxy_reward=0.0)
    runs.loc[runs["method"] == "sft", ["params", "kl"]] = ["{}", 0.0]
    return make_results({"runs": runs})


@pytest.mark.parametrize(
    ("a", "b", "turns"), [(-0.1, 0.2, [0.0]), (1.6, 0.4, [4.0]), (1.0, 0.1, [])]
)
def test_gold_turns_where_it_is_highest_at_0_where_it_only_falls(
    a: float, b: float, turns: list[float]
) -> None:
    of = contrast(quantity="KL at which gold turns", task="a")
    assert numbers(turning(("a", a, b, 10)), of) == pytest.approx(turns * SEEDS, abs=1e-6)


def test_gold_turns_no_later_for_a_side_that_only_goes_further() -> None:
    of = contrast(quantity="KL at which gold turns", weights={"b": 1.0, "a": -1.0})
    rises, falls = (1.0, 0.1), (1.6, 0.4)
    # The KL that both reach is 5.76; on the first it turns at 4, on the second not before 5.76.
    found = numbers(turning(("a", *falls, 8), ("b", *rises, 12)), of)
    assert found == pytest.approx([1.76] * SEEDS, abs=1e-6)
    # The second turns at 6.25, where the first has not been.
    assert numbers(turning(("a", *rises, 7), ("b", 2.0, 0.4, 12)), of) == []


def test_sides_may_have_tasks_of_their_own() -> None:
    results = make_results({"runs": runs_of(REWARDS)})
    sides = {"of": {"method": "dpo", "task": "a"}, "minus": {"method": "ppo", "task": "b"}}
    assert numbers(results, contrast(quantity="reward", **sides)) == [-1.5] * SEEDS


def test_a_number_can_be_subtracted() -> None:
    results = make_results({"runs": runs_of(REWARDS, implicit_accuracy=0.75)})
    of = contrast(quantity="implicit_accuracy", task="a", than=0.5)
    assert numbers(results, of) == [0.25] * SEEDS


def test_seeds_without_all_values_are_left_out() -> None:
    runs = runs_of(REWARDS)
    lost = (runs["task"] == "b") & (runs["method"] == "ppo") & (runs["seed"] == 1)
    runs.loc[lost, "status"] = "failed"
    of = contrast(quantity="reward", minus="ppo", weights={"a": 1.0, "b": -1.0})
    conditions = by_condition(make_results({"runs": runs}), of)
    assert by_seed(of, conditions).index.tolist() == [0, 2]
    runs.loc[runs["task"] == "b", "status"] = "failed"
    conditions = by_condition(make_results({"runs": runs}), of)
    assert len(conditions) == SEEDS and by_seed(of, conditions).empty


def test_at_equal_kl_two_methods_on_one_frontier_do_not_differ() -> None:
    def line(task: str, method: str, strengths: tuple[float, ...]) -> dict:
        # The reward is the root of the KL, which the curve between settings follows exactly.
        return {(task, method, s): (1 / s) ** 0.5 for s in strengths}

    rewards = line("a", "dpo", (1.0, 0.25, 0.1)) | line("a", "ppo", (2.0, 0.5, 0.2))
    results = make_results({"runs": runs_of(rewards)})
    of = contrast(quantity="reward at equal KL", minus="ppo", task="a")
    assert numbers(results, of) == pytest.approx([0.0] * SEEDS, abs=1e-9)


def test_methods_without_a_common_kl_have_no_number() -> None:
    rewards = {("a", "dpo", 1.0): 1.0, ("a", "dpo", 0.9): 1.0, ("a", "ppo", 0.1): 2.0}
    results = make_results({"runs": runs_of(rewards)})
    assert numbers(results, contrast(quantity="reward at equal KL", minus="ppo", task="a")) == []


def test_the_way_through_training_starts_at_the_sft_policy() -> None:
    root = {strength: (1 / strength) ** 0.5 for strength in (0.5, 0.1)}
    rewards = {("a", "dpo", strength): value for strength, value in root.items()}
    runs = runs_of(rewards | {("a", "sft", 1.0): 0.0})
    runs.loc[runs["method"] == "sft", ["params", "kl"]] = ["{}", 0.0]
    ended = runs[(runs["method"] == "dpo") & (runs["split"] == "test")].assign(step=1)
    # Along training, rewards are twice as high at every KL: a line in its root from SFT on.
    way = ended.assign(reward=2 * ended["kl"] ** 0.5 + 10 * ended["seed"])
    results = make_results({"runs": runs, "checkpoints": way[way["kl"] > 5]})
    minus = {"method": "dpo", "along": "training"}
    of = contrast(quantity="reward at equal KL", minus=minus, task="a")
    expected = -(2 / 3) * (10**1.5 - 2**1.5) / (10 - 2)
    assert numbers(results, of) == pytest.approx([expected] * SEEDS)


def test_area_and_regret() -> None:
    rewards = {("a", "dpo", 1.0): 1.0, ("a", "dpo", 0.25): 0.4, ("a", "sft", 1.0): 0.0}
    runs = runs_of(rewards)
    line = [
        {"task": "a", "seed": s, "kl": k, "reward": k + 10 * s} for s in range(3) for k in (0, 4)
    ]
    regret = runs[(runs["split"] == "test") & (runs["method"] == "dpo")].assign(
        optimization_error=lambda rows: rows["strength"]
    )
    results = make_results({"runs": runs, "frontier": pd.DataFrame(line), "regret": regret})
    # 1 from a KL of 1 to one of 4, below a triangle of 4 by 4.
    assert numbers(results, contrast(quantity="area under the frontier", task="a")) == (
        pytest.approx([3 / 8] * SEEDS, abs=1e-3)
    )
    assert numbers(results, contrast(quantity="optimization error", task="a")) == [1.0] * SEEDS


def test_what_is_lost_from_the_middle_strength_to_the_weakest() -> None:
    by_strength = {1.0: 0.5, 0.3: 0.9, 0.1: 0.8, 0.03: 1.0, 0.01: 0.2}
    rewards = {("a", "dpo", strength): reward for strength, reward in by_strength.items()}
    lost = contrast(quantity="reward lost at the weakest strength", task="a")
    results = make_results({"runs": runs_of(rewards)})
    assert numbers(results, lost) == pytest.approx([0.6] * SEEDS)
    results = make_results({"runs": runs_of({("a", "dpo", 1.0): 0.5})})
    assert numbers(results, lost) == []


def test_what_is_lost_after_a_quarter_of_training() -> None:
    runs = runs_of({("a", "dpo", 1.0): 1.0})
    ended = runs[runs["split"] == "test"].drop(columns=["split", "status"])
    curve = {0: -9.0, 30: 1.2, 50: 1.5, 70: 2.0, 200: 1.0}
    ways = [
        ended.assign(step=step, reward=reward + 10 * ended["seed"])
        for step, reward in curve.items()
    ]
    results = make_results({"runs": runs, "checkpoints": pd.concat(ways)})
    lost = contrast(quantity="reward lost after a quarter of training", task="a")
    assert numbers(results, lost) == pytest.approx([0.5] * SEEDS)


def test_the_share_of_the_optimal_gain() -> None:
    runs = runs_of({("a", "dpo", 1.0): 1.0, ("a", "sft", 1.0): -1.0})
    runs.loc[runs["method"] == "sft", ["params", "kl"]] = ["{}", 0.0]
    line = [
        {"task": "a", "seed": seed, "kl": kl, "reward": reward + 10 * seed}
        for seed in range(SEEDS)
        for kl, reward in ((0.0, -1.0), (4.0, 4.0))
    ]
    results = make_results({"runs": runs, "frontier": pd.DataFrame(line)})
    share = contrast(quantity="share of the optimal gain", task="a")
    assert numbers(results, share) == pytest.approx([0.4] * SEEDS)

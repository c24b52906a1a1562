"""The quantities that claims are about: a number for each seed of a method on a task.

Every numeric column of runs.csv is a quantity too, on test prompts at the chosen setting.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pandas as pd

from bench.analysis.claims.forms import excess_error, form_of
from bench.analysis.claims.optima import least_kl, most_unlabeled_mass
from bench.analysis.effort import area_shares
from bench.analysis.overoptimization import GOOD_FIT, gains, reach, turn_of
from bench.analysis.selection import ok_rows, select_settings
from bench.config.claim import Side
from bench.results.loading import Results

AT_EQUAL_KL = "reward at equal KL"
TURNING_KL = "KL at which gold turns"
AREA = "area under the frontier"
LOST_AT_THE_WEAKEST = "reward lost at the weakest strength"
Points = list[tuple[float, float]]


def quantity(results: Results, name: str, side: Side) -> pd.Series:
    """Return a quantity of one side, by seed.

    Args:
        results: Of the claim's experiment.
        name: The quantity's name.
        side: A method, and its task.
    """
    if name in QUANTITIES:
        return QUANTITIES[name](results, side)
    return at_chosen_setting(results.runs, side)[name]


def frontier_points(results: Results, side: Side) -> dict[int, Points]:
    """Return KL and reward of a method's settings, or of its way through training, by seed.

    Along training the SFT policy, where all start, is the first point.
    """
    rows = results.runs if side.along == "settings" else results.checkpoints
    rows = _with_params(_of_side(rows, side), side.params).dropna(subset=["kl", "reward"])
    points: dict[int, Points] = {}
    if side.along == "training":
        sft = _of_side(results.runs, Side(method="sft", task=side.task))
        points = {int(seed): [(0.0, float(reward))] for seed, reward in _by_seed(sft).items()}
    for seed, kl, reward in zip(rows["seed"], rows["kl"], rows["reward"], strict=True):
        points.setdefault(int(seed), []).append((float(kl), float(reward)))
    return points


def at_chosen_setting(runs: pd.DataFrame, side: Side) -> pd.DataFrame:
    """Return the finished test rows of a side's setting, by seed."""
    rows = _of_side(runs, side)
    if side.params:
        rows = _with_params(rows, side.params)
    else:
        rows = rows[rows["params"] == select_settings(runs, side.task).get(side.method)]
    return rows.set_index("seed")


def _of_side(frame: pd.DataFrame, side: Side) -> pd.DataFrame:
    """Return the finished rows of a side's method on its task, on test prompts where split."""
    rows = frame[(frame["task"] == side.task) & (frame["method"] == side.method)]
    if "split" in rows:
        rows = ok_rows(rows)
        rows = rows[rows["split"] == "test"]
    return rows


def _with_params(rows: pd.DataFrame, params: dict[str, Any]) -> pd.DataFrame:
    having = [params.items() <= json.loads(text or "{}").items() for text in rows["params"]]
    # Without rows, an empty list would select no columns.
    return rows.loc[having]


def _by_seed(rows: pd.DataFrame) -> dict[int, float]:
    return dict(zip(rows["seed"], rows["reward"], strict=True))


def _area(results: Results, side: Side) -> pd.Series:
    """Return the area under the frontier as a share of that under the optimal one."""
    optimal = results.frontier[results.frontier["task"] == side.task]
    return area_shares(frontier_points(results, side), optimal)


def _of_regret(column: str) -> Callable[[Results, Side], pd.Series]:
    """Return the quantity that is a column of regret.csv, at the chosen setting."""

    def of_side(results: Results, side: Side) -> pd.Series:
        params = at_chosen_setting(results.runs, side)["params"]
        rows = _of_side(results.regret, side).set_index("seed")
        rows = rows[rows["params"] == params.reindex(rows.index)]
        return rows[column]

    return of_side


def _turning_kl(results: Results, side: Side) -> pd.Series:
    """Return the KL at which the fitted reward turns; infinity where it does not.

    Over all settings and checkpoints of a seed. A seed with a poor fit has no number.
    """
    turns = {}
    for seed, rows in _gains_of_side(results, side).groupby("seed"):
        turn = turn_of(side.method, rows)
        if turn is None or turn.error_share > GOOD_FIT:
            continue
        # A gain that falls from the start turns at 0.
        turning = turn.kl if turn.fits[0].turn > 0 else 0.0
        turns[seed] = math.inf if turn.why_not == "poor fit" else turning
    return pd.Series(turns, dtype=float)


def furthest_kls(results: Results, side: Side) -> pd.Series:
    """Return the furthest KL among all settings and checkpoints of a side, by seed."""
    by_seed = _gains_of_side(results, side).groupby("seed")
    return pd.Series(
        {seed: reach(rows["d"].to_numpy()) ** 2 for seed, rows in by_seed}, dtype=float
    )


def _excess_error_of_form(results: Results, side: Side) -> pd.Series:
    """Return the held-out error of Gao's form for the method less that of a quadratic."""
    form = form_of(side.method)
    by_seed = _gains_of_side(results, side).groupby("seed")
    return pd.Series({seed: excess_error(rows, form) for seed, rows in by_seed}, dtype=float)


def _gains_of_side(results: Results, side: Side) -> pd.DataFrame:
    points = gains(results, side.task)
    return _with_params(points[points["method"] == side.method], side.params)


def _reward_model_accuracy(results: Results, side: Side) -> pd.Series:
    """Return how often the task's reward model agrees with gold."""
    stages = results.stages
    rows = stages[(stages["task"] == side.task) & (stages["stage"] == "reward_model")]
    return rows.set_index("seed")["reward_accuracy"]


def _lost_at_the_weakest(results: Results, side: Side) -> pd.Series:
    """Return the reward at the middle strength of a method's grid less that at the weakest.

    No setting is selected by its reward: the best of several exceeds another one by chance.
    """
    rows = _with_params(_of_side(results.runs, side), side.params)
    table = rows.pivot_table(index="seed", columns="strength", values="reward")
    strengths = sorted(table.columns)
    if len(strengths) < 2:
        return pd.Series(dtype=float)
    return table[strengths[len(strengths) // 2]] - table[strengths[0]]


def _lost_after_a_quarter(results: Results, side: Side) -> pd.Series:
    """Return the reward a quarter of the way through training less that at its end."""
    params = at_chosen_setting(results.runs, side)["params"]
    rows = _of_side(results.checkpoints, side)
    rows = rows[rows["params"] == rows["seed"].map(params)].dropna(subset=["reward"])
    lost = {}
    for seed, way in rows.groupby("seed"):
        by_step = way.set_index("step")["reward"]
        end = by_step.index.max()
        quarter = min(by_step.index, key=lambda step: abs(step - end / 4))
        lost[seed] = by_step[quarter] - by_step[end]
    return pd.Series(lost, dtype=float)


def _share_of_optimal_gain(results: Results, side: Side) -> pd.Series:
    """Return what the method gains over SFT as a share of what the best policy gains."""
    frontier = results.frontier[results.frontier["task"] == side.task]
    best = frontier.groupby("seed")["reward"].max()
    sft = pd.Series(_by_seed(_of_side(results.runs, Side(method="sft", task=side.task))))
    return (at_chosen_setting(results.runs, side)["reward"] - sft) / (best - sft)


QUANTITIES: dict[str, Callable[[Results, Side], pd.Series]] = {
    AREA: _area,
    "optimization error": _of_regret("optimization_error"),
    "reward-model error": _of_regret("reward_model_error"),
    "share of the optimum": _of_regret("share"),
    TURNING_KL: _turning_kl,
    "reward model accuracy": _reward_model_accuracy,
    LOST_AT_THE_WEAKEST: _lost_at_the_weakest,
    "held-out error of Gao's form minus a quadratic's": _excess_error_of_form,
    "most unlabeled mass at an optimum": most_unlabeled_mass,
    "least KL at an optimum": least_kl,
    "reward lost after a quarter of training": _lost_after_a_quarter,
    "share of the optimal gain": _share_of_optimal_gain,
}
# Those that read all settings of a method, instead of the one that is named or selected.
OF_ALL_SETTINGS = (
    AT_EQUAL_KL,
    AREA,
    TURNING_KL,
    LOST_AT_THE_WEAKEST,
    "held-out error of Gao's form minus a quadratic's",
)

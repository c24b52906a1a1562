"""Over-optimization: true and proxy gain against d = sqrt(KL), and where the true gain turns.

Gao, Schulman and Hilton (2022) found gain = d (a - b d) under best-of-n and d (a - b log d) under
reinforcement learning. Both forms are fitted to every method.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy import ndarray

from bench.analysis.selection import ok_rows
from bench.results.loading import Results

Form = Literal["best-of-n", "RL"]
# The RL form is not valid near 0.
SMALLEST = 0.1
POINTS_TO_FIT = 4


class Fit(NamedTuple):
    """A form fitted by least squares.

    Attributes:
        form: Which one.
        a: How steeply the gain rises.
        b: How much it bends down.
        error: Root mean square of the residuals, in units of reward.
    """

    form: Form
    a: float
    b: float
    error: float

    def gain(self, d: ndarray) -> ndarray:
        """Return the fitted gain at d."""
        bend = d if self.form == "best-of-n" else np.log(d)
        return np.asarray(d * (self.a - self.b * bend))

    @property
    def turn(self) -> float:
        """The d at which the gain is largest: infinite where it never falls."""
        if self.b <= 0:
            return math.inf
        return self.a / (2 * self.b) if self.form == "best-of-n" else math.exp(self.a / self.b - 1)


class Turn(NamedTuple):
    """Where a method's reward turns, and what happens from there to its furthest point.

    Attributes:
        method: The method's name.
        kl: KL (nats) at which the better fit of the reward turns; infinite if beyond all points.
        reward_change: Change of the fitted reward from the turn to the furthest point; nan
            without a turn.
        proxy_change: The same of the proxy reward.
        furthest_kl: KL of the furthest point.
        fits: Both forms fitted to the reward, the better one first.
    """

    method: str
    kl: float
    reward_change: float
    proxy_change: float
    furthest_kl: float
    fits: list[Fit]


def fit(form: Form, d: ndarray, gain: ndarray) -> Fit | None:
    """Fit a form to gains at d; None with too few points to tell a bend from noise."""
    far = d >= SMALLEST
    d, gain = d[far], gain[far]
    if len(np.unique(d)) < POINTS_TO_FIT:
        return None
    features = np.stack([d, -d * (d if form == "best-of-n" else np.log(d))], axis=1)
    (a, b), *_ = np.linalg.lstsq(features, gain, rcond=None)
    error = float(np.sqrt(np.mean((features @ (a, b) - gain) ** 2)))
    return Fit(form, float(a), float(b), error)


def gains(results: Results, task: str) -> pd.DataFrame:
    """Return d, and reward and proxy gain over the seed's SFT policy.

    Returns:
        A row for each checkpoint and each final policy of every setting, with the columns method,
        params, strength, seed, final, d, reward and proxy.
    """
    runs = ok_rows(results.runs)
    test = runs[(runs["task"] == task) & (runs["split"] == "test")]
    checkpoints = results.checkpoints[results.checkpoints["task"] == task]
    last = checkpoints.groupby(["method", "params", "seed"])["step"].transform("max")
    # The last checkpoint is the final policy, which the runs have too.
    points = pd.concat(
        [test.assign(final=True), checkpoints[checkpoints["step"] < last].assign(final=False)]
    )
    sft = test[test["method"] == "sft"].set_index("seed")
    points = points[(points["method"] != "sft") & points["seed"].isin(sft.index)]
    frame = points[["method", "params", "strength", "seed", "final"]].assign(
        d=np.sqrt(points["kl"].clip(lower=0)),
        reward=points["reward"] - points["seed"].map(sft["reward"]),
        proxy=points["proxy_reward"] - points["seed"].map(sft["proxy_reward"]),
    )
    return frame.dropna(subset=["d", "reward"]).reset_index(drop=True)


def fits(points: pd.DataFrame, column: str = "reward") -> list[Fit]:
    """Return both forms fitted to a method's points, the better one first.

    Args:
        points: Rows of `gains`.
        column: What to fit, reward or proxy.
    """
    known = points.dropna(subset=[column])
    d, gain = known["d"].to_numpy(), known[column].to_numpy()
    both = [fit("best-of-n", d, gain), fit("RL", d, gain)]
    return sorted((form for form in both if form), key=lambda form: form.error)


def turning_kl(points: pd.DataFrame) -> float:
    """Return the KL (nats) at which the better fit of the reward turns.

    Args:
        points: Rows of `gains` of one method.

    Returns:
        Infinite where it turns beyond all points, nan where nothing can be fitted.
    """
    fitted = fits(points)
    if not fitted:
        return math.nan
    turn = fitted[0].turn
    return turn**2 if turn < points["d"].max() else math.inf


def turns(results: Results, task: str) -> list[Turn]:
    """Return where each method's reward turns; methods with too few points are left out."""
    points = gains(results, task)
    rows = []
    for method in dict.fromkeys(points["method"]):
        own_points = points[points["method"] == method]
        fitted = fits(own_points)
        if not fitted:
            continue
        furthest = float(own_points["d"].max())
        turn = min(fitted[0].turn, furthest)
        rows.append(
            Turn(
                method,
                turning_kl(own_points),
                _change(fitted, turn, furthest),
                _change(fits(own_points, "proxy"), turn, furthest),
                furthest**2,
                fitted,
            )
        )
    return rows


def _change(fitted: Sequence[Fit], turn: float, furthest: float) -> float:
    """Return what the better fit changes by between the turn and the furthest point."""
    if not fitted or turn >= furthest:
        return math.nan
    low, high = fitted[0].gain(np.array([turn, furthest]))
    return float(high - low)

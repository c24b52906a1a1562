"""Over-optimization: true and proxy gain against d = sqrt(KL), and where the true gain turns.

Gao, Schulman and Hilton (2022) found gain = d (a - b d) under best-of-n and d (a - b log d) under
reinforcement learning. Both forms are fitted to every method. That the reward turns is claimed only
where the fit is good, points lie beyond the turn, and the proxy reward rises from there on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy import ndarray

from bench.analysis.selection import ok_rows, table_order
from bench.results.loading import Results

Form = Literal["best-of-n", "RL"]
# The RL form is not valid near 0.
SMALLEST = 0.1
# The largest exponent: far beyond all points.
LARGEST = 300.0
POINTS_TO_FIT = 4
# The largest error of a good fit, as a share of the range of the middle 90% of the gains. Gains
# that are spread evenly over that range have a standard deviation of 32% of it: a fit with such an
# error explains nothing.
GOOD_FIT = 0.25
# A fit with a turn must leave at most this share of the error of a straight rise.
BETTER_THAN_STRAIGHT = 0.9
# Points further than this many interquartile ranges above the upper quartile are outliers (Tukey).
FAR_OUT = 3.0
Why = Literal["", "beyond all points", "poor fit", "few points beyond", "proxy falls too"]


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
        if self.form == "best-of-n":
            return self.a / (2 * self.b)
        return math.exp(min(self.a / self.b - 1, LARGEST))


class Turn(NamedTuple):
    """Where a method's reward turns, and what happens from there to its furthest point.

    Attributes:
        method: The method's name.
        kl: KL (nats) at which the better fit of the reward turns; infinite if beyond all points.
        why_not: Why it is not claimed that the reward turns there; "" where it is.
        beyond: How many points lie beyond the turn.
        reward_change: Change of the fitted reward from the turn to the furthest point; nan
            without a turn.
        proxy_change: The same of the proxy reward.
        furthest_kl: KL of the furthest point that is no outlier.
        fits: Both forms fitted to the reward, the better one first.
        error_share: Error of the better fit as a share of the range of the middle 90% of gains.
        straight_error: Error of the best straight rise.
    """

    method: str
    kl: float
    why_not: Why
    beyond: int
    reward_change: float
    proxy_change: float
    furthest_kl: float
    fits: list[Fit]
    error_share: float
    straight_error: float


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


def turns(results: Results, task: str) -> list[Turn]:
    """Return where each method's reward turns; methods with too few points are left out."""
    points = gains(results, task)
    found = [
        turn_of(method, points[points["method"] == method]) for method in table_order(results, task)
    ]
    return [turn for turn in found if turn]


def turn_of(method: str, points: pd.DataFrame) -> Turn | None:
    """Return where a method's reward turns; None with too few points.

    Args:
        method: The method's name.
        points: Rows of `gains` of that method.
    """
    fitted = fits(points)
    if not fitted:
        return None
    d, gain = points["d"].to_numpy(), points["reward"].to_numpy()
    furthest, at = reach(d), fitted[0].turn
    low, high = np.quantile(gain, [0.05, 0.95])
    turn = Turn(
        method,
        at**2 if at < furthest else math.inf,
        "",
        int((d > at).sum()),
        _change(fitted, at, furthest),
        _change(fits(points, "proxy"), at, furthest),
        furthest**2,
        fitted,
        fitted[0].error / (high - low) if high > low else math.inf,
        _straight_error(d, gain),
    )
    return turn._replace(why_not=_why_not(turn))


def _why_not(turn: Turn) -> Why:
    if math.isinf(turn.kl):
        return "beyond all points"
    if turn.error_share > GOOD_FIT:
        return "poor fit"
    if turn.fits[0].error > BETTER_THAN_STRAIGHT * turn.straight_error:
        return "poor fit"
    if turn.beyond < POINTS_TO_FIT:
        return "few points beyond"
    return "" if turn.proxy_change > 0 else "proxy falls too"


def reach(d: ndarray) -> float:
    """Return the largest d that is no outlier."""
    lower, upper = np.quantile(d, [0.25, 0.75])
    return float(d[d <= upper + FAR_OUT * (upper - lower)].max())


def _straight_error(d: ndarray, gain: ndarray) -> float:
    """Return the root mean square error of the best straight line from no gain at d = 0."""
    far = d >= SMALLEST
    d, gain = d[far], gain[far]
    return float(np.sqrt(np.mean((gain - d * (d @ gain) / (d @ d)) ** 2)))


def _change(fitted: Sequence[Fit], turn: float, furthest: float) -> float:
    """Return what the better fit changes by between the turn and the furthest point."""
    if not fitted or turn >= furthest:
        return math.nan
    low, high = fitted[0].gain(np.array([turn, furthest]))
    return float(high - low)

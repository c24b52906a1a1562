"""Over-optimization: gold and proxy gain against d = sqrt(KL), and where gold turns (Gao et al.).

Gao, Schulman and Hilton (2022) found gold = d (a - b d) under best-of-n and d (a - b log d) under
reinforcement learning. Both forms are fitted to every method.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy import ndarray

from bench.report.display import MISSING, number
from bench.results.loading import Results
from bench.analysis.selection import ok_rows

FORMS: dict[str, str] = {"best-of-n": "d (a - b d)", "RL": "d (a - b log d)"}
# The RL form is not valid near 0.
SMALLEST = 0.1
POINTS_TO_FIT = 4


class Fit(NamedTuple):
    """A form fitted by least squares. error: root mean square, in units of reward."""

    form: Literal["best-of-n", "RL"]
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


def fit(form: Literal["best-of-n", "RL"], d: ndarray, gain: ndarray) -> Fit | None:
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
    """Return d, and gold and proxy gain over SFT, of all checkpoints and final policies.

    Columns: method, params, seed, final, d, gold, proxy.
    """
    runs = ok_rows(results.runs)
    test = runs[(runs["task"] == task) & (runs["split"] == "test")]
    on_the_way = results.checkpoints[results.checkpoints["task"] == task]
    last = on_the_way.groupby(["method", "params", "seed"])["step"].transform("max")
    # The last point is the final policy, which runs.csv has too.
    points = pd.concat(
        [test.assign(final=True), on_the_way[on_the_way["step"] < last].assign(final=False)]
    )
    start = test[test["method"] == "sft"].set_index("seed")
    points = points[(points["method"] != "sft") & points["seed"].isin(start.index)]
    frame = points[["method", "params", "strength", "seed", "final"]].assign(
        d=np.sqrt(points["kl"].clip(lower=0)),
        gold=points["reward"] - points["seed"].map(start["reward"]),
        proxy=points["proxy_reward"] - points["seed"].map(start["proxy_reward"]),
    )
    return frame.dropna(subset=["d", "gold"]).reset_index(drop=True)


def fits(points: pd.DataFrame, column: str = "gold") -> list[Fit]:
    """Return both forms fitted to a method's points, the better one first."""
    own = points.dropna(subset=[column])
    d, gain = own["d"].to_numpy(), own[column].to_numpy()
    both = [fit("best-of-n", d, gain), fit("RL", d, gain)]
    return sorted((one for one in both if one), key=lambda one: one.error)


def turning_kl(points: pd.DataFrame) -> float:
    """Return the KL (nats) at which the better fit of gold turns; infinite if beyond all points."""
    found = fits(points)
    if not found:
        return math.nan
    turn = found[0].turn
    return turn**2 if turn < points["d"].max() else math.inf


def turning_table(results: Results, task: str) -> pd.DataFrame:
    """Return, for each method, where gold turns and what proxy does from there on."""
    points = gains(results, task)
    lines = []
    for method in dict.fromkeys(points["method"]):
        own = points[points["method"] == method]
        gold, proxy = fits(own), fits(own, "proxy")
        if not gold:
            continue
        furthest = float(own["d"].max())
        turn = min(gold[0].turn, furthest)
        lines.append(
            {
                "method": method,
                "gold turns at KL": _turn(turning_kl(own), furthest),
                "gold, turn to furthest": _change(gold, turn, furthest),
                "proxy, turn to furthest": _change(proxy, turn, furthest),
                "furthest KL": number(furthest**2),
                "form": f"{gold[0].form}: {FORMS[gold[0].form]}",
                "a": number(gold[0].a),
                "b": number(gold[0].b),
                "its error": number(gold[0].error),
                "other form's": number(gold[1].error) if gold[1:] else MISSING,
            }
        )
    return pd.DataFrame(lines)


def _turn(kl: float, furthest: float) -> str:
    return f"not up to {number(furthest**2)}" if math.isinf(kl) else number(kl)


def _change(found: Sequence[Fit], turn: float, furthest: float) -> str:
    """Return what the better fit changes by between the turn and the furthest point."""
    if not found or turn >= furthest:
        return MISSING
    low, high = found[0].gain(np.array([turn, furthest]))
    return f"{high - low:+.2f}"

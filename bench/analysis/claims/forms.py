"""How well Gao's forms predict a method's settings: the held-out error against a quadratic's.

Gao, Schulman and Hilton (2022) found that gain follows d (a - b d) under best-of-n and
d (a - b log d) under reinforcement learning, with d = sqrt(KL). A quadratic in the KL has as many
coefficients and is 0 at 0 as well, so it can bend and turn as they do.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy import ndarray

from bench.analysis.overoptimization import POINTS_TO_FIT, SMALLEST, Form, fit

# From d and gain to a function of d, or None with too few points.
Curve = Callable[[ndarray], ndarray]
FitCurve = Callable[[ndarray, ndarray], Curve | None]


def form_of(method: str) -> Form:
    """Return the form that Gao et al. found for methods like this one."""
    return "best-of-n" if method == "best_of_n" else "RL"


def excess_error(points: pd.DataFrame, form: Form) -> float:
    """Return the held-out error of Gao's form less that of a quadratic in the KL.

    Args:
        points: Rows of `gains` of one method and one seed.
        form: Which of Gao's forms.

    Returns:
        In units of reward, below 0 where Gao's form predicts better; nan with too few points.
    """

    def gaos(d: ndarray, gain: ndarray) -> Curve | None:
        fitted = fit(form, d, gain)
        return fitted.gain if fitted else None

    return held_out_error(points, gaos) - held_out_error(points, quadratic)


def held_out_error(points: pd.DataFrame, fit_curve: FitCurve) -> float:
    """Return the root mean square error of gains that a fit to the other settings predicts.

    Each setting is held out in turn with all its checkpoints: those of one training are alike.

    Args:
        points: Rows of `gains` of one method and one seed. Those near d = 0 do not count, because
            the RL form is not valid there.
        fit_curve: Fits a curve to d and gain.

    Returns:
        In units of reward; nan where the other settings are too few to fit.
    """
    points = points[points["d"] >= SMALLEST]
    errors: list[float] = []
    for params in points["params"].unique():
        held_out = points["params"] == params
        curve = fit_curve(*_columns(points[~held_out]))
        if curve is None:
            return math.nan
        d, gain = _columns(points[held_out])
        errors += (curve(d) - gain).tolist()
    return float(np.sqrt(np.mean(np.square(errors)))) if errors else math.nan


def quadratic(d: ndarray, gain: ndarray) -> Curve | None:
    """Fit a KL + b KL^2 to gains at d = sqrt(KL); None with too few points, as for Gao's forms."""
    if len(np.unique(d)) < POINTS_TO_FIT:
        return None
    (a, b), *_ = np.linalg.lstsq(np.stack([d**2, d**4], axis=1), gain, rcond=None)
    return lambda at: np.asarray(a * at**2 + b * at**4)


def _columns(points: pd.DataFrame) -> tuple[ndarray, ndarray]:
    return points["d"].to_numpy(), points["reward"].to_numpy()

"""Means over seeds: of a metric, and of curves on a common grid."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy import ndarray

GRID_POINTS = 400


def complete_mean(values: pd.Series) -> float:
    """Return the mean, or nan unless every seed has a value.

    Seeds without a value are no random sample: they lie furthest from the SFT policy.
    """
    return float(values.mean()) if values.notna().all() else float("nan")


def mean_curve(frame: pd.DataFrame, x: str, y: str) -> tuple[ndarray, ndarray]:
    """Return the mean over seeds on a common grid, as far as the shortest seed goes.

    Args:
        frame: Points with a column `seed`.
        x: Column to interpolate along.
        y: Column to average.

    Returns:
        The grid and the means on it, [GRID_POINTS] each.
    """
    curves = [(seed[x].to_numpy(), seed[y].to_numpy()) for seed in seed_curves(frame, x, y)]
    start, stop = max(xs[0] for xs, _ in curves), min(xs[-1] for xs, _ in curves)
    grid = np.linspace(start, max(start, stop), GRID_POINTS)
    return grid, np.mean([np.interp(grid, xs, ys) for xs, ys in curves], axis=0)


def seed_curves(frame: pd.DataFrame, x: str, y: str) -> list[pd.DataFrame]:
    """Return the known points of each seed, in the order of x."""
    known = frame.dropna(subset=[x, y])
    return [points.sort_values(x) for _, points in known.groupby("seed")]

"""Means over seeds: of a figure, and of curves on a common grid."""

from __future__ import annotations

import numpy as np
import pandas as pd

GRID_POINTS = 400


def complete_mean(values: pd.Series) -> float:
    """Return the mean, or nan unless all seeds have the figure: those that lack it lie furthest."""
    return float(values.mean()) if values.notna().all() else float("nan")


def mean_curve(frame: pd.DataFrame, x: str, y: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over seeds on a common grid, as far as the shortest seed goes."""
    curves = [(own[x].to_numpy(), own[y].to_numpy()) for own in seed_curves(frame, x, y)]
    start, stop = max(xs[0] for xs, _ in curves), min(xs[-1] for xs, _ in curves)
    grid = np.linspace(start, max(start, stop), GRID_POINTS)
    return grid, np.mean([np.interp(grid, xs, ys) for xs, ys in curves], axis=0)


def seed_curves(frame: pd.DataFrame, x: str, y: str) -> list[pd.DataFrame]:
    """Return each seed's points in order, those without a figure left out."""
    known = frame.dropna(subset=[x, y])
    return [own.sort_values(x) for _, own in known.groupby("seed")]

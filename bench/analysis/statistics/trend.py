"""How values change with the levels of a factor, such as the size of a model, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy import ndarray


def slopes(levels: Sequence[float], values: ndarray) -> ndarray:
    """Return the least-squares slope over the levels at each seed.

    Args:
        levels: The factor's levels on the scale of the trend, such as log2 of a size. At least two
            are distinct.
        values: [..., seeds, levels].

    Returns:
        The change of the value for each unit of the factor, [..., seeds].

    Raises:
        ValueError: All levels are the same, or they are not as many as the values.
    """
    if values.shape[-1] != len(levels):
        raise ValueError(f"no slope of {values.shape[-1]} values over the levels {list(levels)}")
    return np.asarray(values @ slope_weights(levels))


def slope_weights(levels: Sequence[float]) -> ndarray:
    """Return what the value at each level counts in the slope, [levels].

    The weights sum to 0, so a seed's mean has no part in it.
    """
    centered = np.asarray(levels, dtype=float) - np.mean(levels)
    if len(set(levels)) < 2:
        raise ValueError(f"no slope over the levels {list(levels)}")
    return np.asarray(centered / (centered @ centered))

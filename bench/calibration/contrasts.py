"""Values of contrasts without a difference, drawn for `claims.py`.

Each function draws [comparisons, seeds] from random numbers, a distribution of the seeds' effects,
and that size.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy import ndarray

from bench.analysis.statistics import mean_gap, slopes

Size = tuple[int, int]
Draw = Callable[[np.random.Generator, tuple[int, ...]], ndarray]
# Of mean 0 and variance 1: normal, Student's t with 5 degrees of freedom, and a negative gamma
# distribution of shape 2 (skewness -1.4).
EFFECTS: dict[str, Draw] = {
    "normal": lambda random, size: random.normal(size=size),
    "heavy-tailed": lambda random, size: random.standard_t(5, size=size) / (5 / 3) ** 0.5,
    "skewed": lambda random, size: (2 - random.gamma(2, size=size)) / 2**0.5,
}
Values = Callable[[np.random.Generator, Draw, Size], ndarray]
# KLs of the settings of two methods, in nats. They vary by 15% from seed to seed.
GRIDS = ((0.5, 1, 2, 4, 8), (1, 2, 3.5, 6, 10))
UNEQUAL_GRIDS = ((0.2, 1, 3, 6, 12), (1, 1.5, 2, 2.5, 3))
# True rewards of the settings of two methods, below that of the best.
REWARDS = ((0, -0.5, -2, -6), (-6, -2, -0.5, 0))
UNEQUAL_REWARDS = ((0, 0, 0, 0), (-6, -4, -4, 0))


def paired(random: np.random.Generator, effects: Draw, size: Size) -> ndarray:
    """Return differences of two methods."""
    return effects(random, size)


def selected(rewards: tuple[tuple[float, ...], ...]) -> Values:
    """Return what draws differences of two methods at the settings that are best over the seeds.

    The rewards that are compared are those that selected: as where the validation prompts are the
    test prompts. Those of a method's settings vary together as much as each by itself.

    Args:
        rewards: True rewards of each method's settings, of which the best are equal.
    """

    def differences(random: np.random.Generator, effects: Draw, size: Size) -> ndarray:
        sides = []
        for of_settings in rewards:
            of_method = effects(random, (*size, 1))
            values = np.array(of_settings) + of_method + effects(random, (*size, len(of_settings)))
            best = values.mean(1).argmax(-1)
            sides.append(np.take_along_axis(values, best[:, None, None], axis=-1)[..., 0])
        return sides[0] - sides[1]

    return differences


def interaction(random: np.random.Generator, effects: Draw, size: Size) -> ndarray:
    """Return differences between two conditions of the difference of two methods.

    In the second condition rewards vary half as much.
    """
    rewards = effects(random, (*size, 2, 2)) * np.array([1.0, 0.5])
    # Of a seed, by method and by condition.
    shared = random.normal(size=(*size, 2, 1)) + random.normal(size=(*size, 1, 2))
    difference = (rewards + shared)[..., 0, :] - (rewards + shared)[..., 1, :]
    return difference[..., 0] - difference[..., 1]


def trend(random: np.random.Generator, effects: Draw, size: Size) -> ndarray:
    """Return slopes over four levels, at the last of which values vary twice as much."""
    levels = np.arange(4.0)
    shared = random.normal(size=(*size, 1))
    return slopes(levels.tolist(), shared + (1 + levels / 3) * effects(random, (*size, 4)))


def same_frontier(grids: tuple[tuple[float, ...], ...]) -> Values:
    """Return what draws gaps at equal KL of two methods on one frontier.

    Args:
        grids: KLs of their settings.
    """

    def gaps(random: np.random.Generator, effects: Draw, size: Size) -> ndarray:
        shift = 0.3 * random.normal(size=(*size, 1))
        of_first = 0.05 * effects(random, (*size, 1))
        sides = []
        for grid, of_method in zip(grids, (of_first, 0 * of_first), strict=True):
            kls = np.array(grid) * np.exp(0.15 * random.normal(size=(*size, len(grid))))
            noise = 0.1 * effects(random, kls.shape)
            sides.append(np.stack([kls, frontier(kls) + shift + of_method + noise], axis=-1))
        flat = (side.reshape(-1, *side.shape[2:]).tolist() for side in sides)
        found = [mean_gap(ours, theirs) for ours, theirs in zip(*flat, strict=True)]
        return np.array([gap.gap if gap else np.nan for gap in found]).reshape(size)

    return gaps


def frontier(kls: ndarray) -> ndarray:
    """Return rewards that rise with the root of the KL, and ever less, to 3."""
    return np.asarray(3 * (1 - np.exp(-np.sqrt(kls) / 1.5)))

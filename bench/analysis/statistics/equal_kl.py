"""Reward at equal KL: how far one method's rewards lie above another's where both have points.

Rewards rise about as the square root of the KL, and then less. Straight lines between settings cut
below such a curve, the more the farther the settings lie apart: of two methods on one frontier,
that with closer settings would seem better. So a monotone cubic in the square root of the KL runs
through the settings (Fritsch & Butland, 1984): where rewards rise or fall from setting to setting,
it does the same. What it misses between settings is small, but not 0.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

Point = tuple[float, float]
# Nodes and weights of Gauss's rule, exact up to degree 5: a cubic times the root has 4.
GAUSS = ((-(0.6**0.5), 5 / 18), (0.0, 8 / 18), (0.6**0.5, 5 / 18))


class EqualKL(NamedTuple):
    """The mean difference of two methods' rewards over the KLs that both reach.

    Attributes:
        gap: The first method's reward less the second's, mean over the range.
        low: Smallest KL of the range, in nats.
        high: Largest KL of the range.
    """

    gap: float
    low: float
    high: float


class _Curve(NamedTuple):
    """A cubic between any two points.

    Attributes:
        roots: Square roots of the KLs, ascending.
        rewards: At each.
        slopes: Of the curve at each, by the root.
    """

    roots: list[float]
    rewards: list[float]
    slopes: list[float]


def mean_gap(ours: Sequence[Point], theirs: Sequence[Point]) -> EqualKL | None:
    """Compare two methods at one seed at equal KL.

    The range is from the larger of the two smallest KLs to the smaller of the two largest, and the
    mean over it is exact. Points at the same KL are averaged.

    Args:
        ours: KL and reward of each setting of the first method. The SFT policy's may be among them.
        theirs: Likewise of the second.

    Returns:
        None where all KLs of one lie beyond those of the other.
    """
    if not len(ours) or not len(theirs):
        return None
    # An estimated KL can be a little below 0.
    sides = [
        [(max(float(kl), 0.0), float(reward)) for kl, reward in side] for side in (ours, theirs)
    ]
    low = max(min(kl for kl, _ in side) for side in sides)
    high = min(max(kl for kl, _ in side) for side in sides)
    if low > high:
        return None
    first, second = (_mean(_curve(side), low**0.5, high**0.5) for side in sides)
    return EqualKL(first - second, low, high)


def _curve(points: Sequence[Point]) -> _Curve:
    at: dict[float, list[float]] = {}
    for kl, reward in points:
        at.setdefault(kl**0.5, []).append(reward)
    roots = sorted(at)
    rewards = [sum(at[root]) / len(at[root]) for root in roots]
    return _Curve(roots, rewards, _slopes(roots, rewards))


def _slopes(x: Sequence[float], y: Sequence[float]) -> list[float]:
    """Return the slopes at the points: weighted harmonic means of those of the lines beside."""
    if len(x) == 1:
        return [0.0]
    steps = [b - a for a, b in pairwise(x)]
    lines = [(b - a) / step for (a, b), step in zip(pairwise(y), steps, strict=True)]
    if len(x) == 2:
        return lines * 2
    inner = []
    for (h, k), (a, b) in zip(pairwise(steps), pairwise(lines), strict=True):
        weights = (h + 2 * k, 2 * h + k)
        # Where rewards turn, the curve is level.
        inner.append(sum(weights) / (weights[0] / a + weights[1] / b) if a * b > 0 else 0.0)
    first = _end_slope(steps[0], steps[1], lines[0], lines[1])
    last = _end_slope(steps[-1], steps[-2], lines[-1], lines[-2])
    return [first, *inner, last]


def _end_slope(h: float, k: float, line: float, next_line: float) -> float:
    """Return the slope at an end: of the parabola through three points, unless it would overshoot.

    Args:
        h: Width of the last interval.
        k: Width of the one beside it.
        line: Slope of the line over the last interval.
        next_line: Over the one beside it.
    """
    slope = ((2 * h + k) * line - h * next_line) / (h + k)
    if slope * line <= 0:
        return 0.0
    turns = line * next_line <= 0
    return 3 * line if turns and abs(slope) > abs(3 * line) else slope


def _mean(curve: _Curve, low: float, high: float) -> float:
    """Return the mean of a curve over the KLs between two roots; its value if they are one."""
    if low == high:
        return _at(curve, low)
    inside = [root for root in curve.roots if low < root < high]
    total = 0.0
    for a, b in pairwise([low, *inside, high]):
        middle, half = (a + b) / 2, (b - a) / 2
        for node, weight in GAUSS:
            root = middle + half * node
            # d KL = 2 root d root.
            total += 2 * half * weight * _at(curve, root) * 2 * root
    return total / (high**2 - low**2)


def _at(curve: _Curve, root: float) -> float:
    """Return the reward at a root between the curve's first and last."""
    right = bisect_left(curve.roots, root)
    if curve.roots[right] == root:
        return curve.rewards[right]
    left = right - 1
    step = curve.roots[right] - curve.roots[left]
    t = (root - curve.roots[left]) / step
    before, after = (1 - t) ** 2, t**2
    return before * ((1 + 2 * t) * curve.rewards[left] + t * step * curve.slopes[left]) + after * (
        (3 - 2 * t) * curve.rewards[right] - (1 - t) * step * curve.slopes[right]
    )

"""Reward at equal KL: closed forms, scipy's interpolation, and methods on one frontier."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.interpolate import PchipInterpolator

from bench.analysis.statistics import EqualKL, difference_ps, mean_gap
from bench.analysis.statistics.equal_kl import Point
from bench.calibration.contrasts import frontier


def points(kls: list[float], rewards: list[float]) -> list[Point]:
    return list(zip(kls, rewards, strict=True))


def test_a_constant_gap_is_found_over_the_common_range() -> None:
    kls = [0.5, 1.0, 2.0, 4.0]
    ours, theirs = points(kls, [1.5, 2.5, 2.7, 3.0]), points(kls, [1.0, 2.0, 2.2, 2.5])
    assert mean_gap(ours, theirs) == pytest.approx(EqualKL(0.5, 0.5, 4.0))
    assert mean_gap(theirs, ours) == pytest.approx(EqualKL(-0.5, 0.5, 4.0))


def test_rewards_linear_in_the_root_have_the_closed_form() -> None:
    # Two lines in the root of the KL: the mean of (1 + 2 root) - (2 + root / 2) over 1 to 4.
    ours = points([0.25, 1.0, 9.0], [2.0, 3.0, 7.0])
    theirs = points([1.0, 2.25, 4.0], [2.5, 2.75, 3.0])
    mean_root = 2 / 3 * (4**1.5 - 1) / 3
    assert mean_gap(ours, theirs) == pytest.approx(EqualKL(-1 + 1.5 * mean_root, 1.0, 4.0))


def test_order_and_repeated_kls_do_not_matter() -> None:
    ours = points([0.0, 4.0], [1.0, 3.0])
    # The two at 4 nats average 5; one reward is left out on either side of them.
    theirs = points([4.0, 0.0, 4.0], [4.0, 1.0, 6.0])
    # The gap rises with the root, to 2: its mean is two thirds of that.
    assert mean_gap(theirs, ours) == pytest.approx(EqualKL(4 / 3, 0.0, 4.0))


def test_ranges_apart_have_no_gap() -> None:
    assert mean_gap(points([1, 2], [1, 2]), points([3, 4], [1, 2])) is None
    assert mean_gap([], points([3, 4], [1, 2])) is None
    # What they share is one KL.
    assert mean_gap(points([1, 2], [1, 2]), points([2, 4], [5, 9])) == EqualKL(-3.0, 2.0, 2.0)
    assert mean_gap([(2.25, 7.0)], points([1, 4], [1, 2])) == pytest.approx(
        EqualKL(5.5, 2.25, 2.25)
    )


def test_the_curve_is_scipys_and_its_mean_exact() -> None:
    random = np.random.default_rng(0)
    for n in (2, 3, 5, 8):
        kls, rewards = np.sort(random.uniform(0, 9, n)), random.normal(size=n)
        low, high = kls[0], kls[-1]
        zero = points([float(low), float(high)], [0.0, 0.0])
        curve = PchipInterpolator(np.sqrt(kls), rewards)
        area, _ = quad(lambda kl, c=curve: c(kl**0.5), low, high, points=kls[1:-1], limit=200)
        found = mean_gap(points(kls.tolist(), rewards.tolist()), zero)
        assert found is not None
        assert found.gap == pytest.approx(area / (high - low), abs=1e-6)


def gaps_by_lines(sides: list[np.ndarray]) -> float:
    """Return the gap if rewards were linear in the KL between settings."""
    low, high = (end(side[f, 0] for side in sides) for end, f in ((max, 0), (min, -1)))
    kls = np.linspace(low, high, 400)
    ours, theirs = (np.interp(kls, *side.T).mean() for side in sides)
    return float(ours - theirs)


def test_close_settings_are_not_taken_for_a_better_method() -> None:
    random = np.random.default_rng(0)
    found, by_lines = np.empty((400, 12)), np.empty((400, 12))
    for place in np.ndindex(found.shape):
        sides = []
        for grid in ([0.2, 1, 3, 6, 12], [1, 1.5, 2, 2.5, 3]):
            kls = np.array(grid) * np.exp(0.05 * random.normal(size=5))
            rewards = frontier(kls) + 0.05 * random.normal(size=5)
            sides.append(np.stack([kls, rewards], axis=-1))
        gap = mean_gap(*(side.tolist() for side in sides))
        found[place] = gap.gap if gap else np.nan
        by_lines[place] = gaps_by_lines(sides)
    assert (difference_ps(found) <= 0.05).mean() < 0.09
    assert (difference_ps(by_lines) <= 0.05).mean() > 0.5

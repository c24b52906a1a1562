"""Shares of variance, against designs whose gains are known."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from helpers.synthetic import make_results
from numpy import ndarray

from bench.analysis.claims.shares import Share, share_intervals, variance_shares
from bench.config.claim import Factor

FACTORS = {
    "labels": ("dpo", "good", "dpo", "bad"),
    "algorithm": ("ppo", "good", "dpo", "good"),
    "size": ("ppo", "good", "ppo", "small"),
}


def shares_of(gains: ndarray) -> list[Share]:
    """Return the shares where these are the gains, [seeds, factors]."""
    rows = []
    for seed, (labels, algorithm, size) in enumerate(gains):
        best = 10.0 * seed + algorithm
        cells = {("dpo", "good"): best - algorithm, ("dpo", "bad"): best - algorithm - labels}
        cells |= {("ppo", "good"): best, ("ppo", "small"): best - size, ("ppo", "bad"): 0.0}
        rows += [
            {
                **{"task": task, "method": method, "params": json.dumps({}), "strength": 1.0},
                **{"seed": seed, "split": split, "status": "ok", "reward": reward, "kl": 1.0},
            }
            for (method, task), reward in cells.items()
            for split in ("validation", "test")
        ]
    factors = {
        name: Factor.model_validate(
            {
                "better": {"method": method, "task": task},
                "worse": {"method": other, "task": at},
            }
        )
        for name, (method, task, other, at) in FACTORS.items()
    }
    return variance_shares(make_results({"runs": pd.DataFrame(rows)}), factors)


def test_shares_are_those_of_the_variance_over_a_full_design() -> None:
    gains = np.array([3.0, -1.0, 0.5])
    levels = np.array(np.meshgrid(*[[0.0, 1.0]] * 3)).reshape(3, -1).T
    whole = (levels @ gains).var()
    alone = [(levels[:, i] * gains[i]).var() / whole for i in range(3)]
    found = shares_of(np.tile(gains, (4, 1)))
    assert [share.factor for share in found] == list(FACTORS)
    assert [share.gain.mean for share in found] == pytest.approx(gains)
    assert [share.share.mean for share in found] == pytest.approx(alone)
    assert sum(share.share.mean for share in found) == pytest.approx(1.0)


def test_intervals_hold_the_true_shares_nearly_always() -> None:
    gains, random = np.array([1.0, 0.6, 0.3]), np.random.default_rng(0)
    true = gains**2 / (gains**2).sum()
    held = [
        [each.low <= share <= each.high for each, share in zip(found, true, strict=True)]
        for _ in range(300)
        for found in [share_intervals(gains + random.normal(0, 0.3, (12, 3)))]
    ]
    assert np.mean(held) > 0.9


def test_noise_is_no_share() -> None:
    random = np.random.default_rng(1)
    found = [share_intervals(random.normal([1.0, 0.0, 0.0], 1.0, (12, 3))) for _ in range(300)]
    # Without the correction, a gain of 0 would have 7% on average.
    assert np.mean([second.mean for _, second, _ in found]) < 0.06


def test_without_factors_or_seeds_there_is_nothing_to_share() -> None:
    assert variance_shares(make_results({"runs": pd.DataFrame()}), {}) == []
    [labels, *_] = shares_of(np.array([[1.0, 1.0, 1.0]]))
    assert labels.share.mean == pytest.approx(1 / 3) and np.isnan(labels.share.low)

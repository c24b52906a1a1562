"""Trained policies are sampled to estimate the optimal frontier at a larger KL, once."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.command import SAMPLED, command, finish, metrics

from bench.cache.store import Store
from bench.config.files import load_experiment
from bench.config.narrowing import narrow
from bench.execution.plan import Plan


@pytest.mark.slow
def test_trained_policies_are_sampled_for_the_frontier_once(tmp_path: Path) -> None:
    output = finish(command(tmp_path, SAMPLED, "--jobs", "2"))
    assert "polite optimal frontier, seed 0  ok" in output
    [made] = (tmp_path / "cache" / "pooled_samples").iterdir()
    before = made.stat().st_mtime_ns, metrics(tmp_path)
    with np.load(made / "samples.npz") as arrays:
        # The reference's samples, and those of the one DPO policy that moved further.
        assert arrays["logprobs"].shape == (2, 24, 256 + 256)
        for name in ("rewards", "proxy_rewards", "tokens"):
            assert arrays[name].shape == (24, 512)
        reference, policy = arrays["logprobs"]
        moved = float((policy - reference)[:, 256:].mean())
    runs = before[1]
    kl = runs[(runs["method"] == "dpo") & (runs["split"] == "test")]["kl"]
    assert moved == pytest.approx(kl.max(), rel=0.3)
    assert runs[runs["split"] == "validation"]["frontier_reward"].isna().all()
    test = runs[(runs["split"] == "test") & runs["efficiency"].notna()]
    start = runs[(runs["method"] == "sft") & (runs["split"] == "test")]["frontier_reward"].item()
    shares = (test["reward"] - start) / (test["frontier_reward"] - start)
    assert shares.tolist() == pytest.approx(test["efficiency"].tolist(), rel=1e-4)
    output = finish(command(tmp_path, SAMPLED, "--jobs", "2"))
    assert "0 to make; runs: 4 cached, 0 to do" in output and "optimal frontier" not in output
    assert made.stat().st_mtime_ns == before[0]
    pd.testing.assert_frame_equal(before[1], metrics(tmp_path))
    # Without a policy that moved, or where that stage failed, the reference's samples have to do.
    experiment, store = load_experiment(str(tmp_path / "tiny.yaml")), Store(tmp_path / "cache")
    plan = Plan.of(experiment, store, device="cpu")
    [pipeline] = plan.pipelines
    pool, alone = plan.pooled_samples(pipeline), plan.reference_samples[pipeline].frontiers
    assert pool is not None and pool.folder == made
    assert plan.frontiers(pipeline).reward.largest_kl >= alone.reward.largest_kl
    sft_alone = Plan.of(narrow(experiment, methods=["sft"]), store, "cpu")
    shutil.rmtree(made)
    assert plan.frontiers(pipeline) is alone
    assert sft_alone.pooled_samples(pipeline) is None

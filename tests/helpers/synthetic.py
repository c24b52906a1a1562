"""A made-up results folder for tests of analysis and report, with no run behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from helpers.synthetic_design import (
    LEARNS_FROM,
    SHARE,
    START,
    UNTRAINED,
    optimal_reward,
    settings,
)
from helpers.synthetic_tables import (
    checkpoint_rows,
    curve_rows,
    frontier_rows,
    head_to_head_rows,
    make_manifest,
    method_rows,
    optimum_rows,
    regret_rows,
    sample_rows,
    stage_rows,
    temperature_rows,
)

from bench.results import schema
from bench.results.loading import TABLES, Results


def _kl(method: str, strength: float) -> float:
    if method == "sft":
        return 0.0
    return float(np.log(strength) * 0.9) if method == "best_of_n" else 0.55 / (strength + 0.06)


def make_runs(tasks: list[str], methods: list[str], seeds: int) -> pd.DataFrame:
    """Return RUNS: each method has its share of the optimal gain, less where KL is high."""
    random = np.random.default_rng(0)
    rows = []
    for task in tasks:
        seed_effects = random.normal(0, 0.12, size=seeds)
        for method in methods:
            for params, strength in settings(method):
                for seed in range(seeds):
                    kl = _kl(method, strength) * (1 + random.normal(0, 0.05))
                    share = SHARE[method] * (1 - 0.02 * kl**2 * (method != "ppo_gold"))
                    shared = {"task": task, "method": method, "params": params, "seed": seed}
                    for split in ("validation", "test"):
                        gain = share * (optimal_reward(task, kl) - START[task])
                        reward = START[task] + seed_effects[seed] + gain
                        reward += random.normal(0, 0.06)
                        best = optimal_reward(task, kl) + seed_effects[seed]
                        trained = method not in UNTRAINED
                        online = LEARNS_FROM[method] in ("reward", "gold") and trained
                        rows.append(
                            shared
                            | {
                                "strength": strength,
                                "split": split,
                                "status": "ok",
                                "reward": reward,
                                "reward_source": "gold",
                                "proxy_reward": 0.4 * kl,
                                "kl": kl,
                                "win_rate_sft": 0.5 + 0.4 * share,
                                "response_tokens": 18 + kl,
                                "entropy": 9 - kl,
                                "distinct_2": 0.4,
                                "ended_rate": 0.98,
                                "chosen_logp_change": -0.8 * kl if trained else np.nan,
                                "rejected_logp_change": -2.1 * kl if trained else np.nan,
                                "frontier_reward": best,
                                "efficiency": share if kl else np.nan,
                                "labels": 6144 if method == "ppo_gold" else 4096,
                                "prompts_seen": 4096,
                                "responses_sampled": 6144 * online,
                                "reward_calls": 6272 * online,
                                "train_tokens": 1.2e6 * trained,
                                "train_seconds": {"dpo": 5.2}.get(method, 24.0) * trained,
                                "peak_memory_mb": 812.0,
                                "device": "cpu",
                            }
                        )
    runs = pd.DataFrame(rows).reindex(columns=schema.RUNS.names)
    runs.loc[runs["method"] == "sft", "labels"] = 0
    return runs


def small_results() -> Results:
    """Return results of two tasks, a and b, where every number can be checked by hand.

    DPO gains 1/4 and 3/6 of what the seeds of a could gain, 1/2 and 0 of what those of b could.
    """
    rewards = {("a", 0): (1.0, 2.0), ("a", 1): (0.0, 3.0), ("b", 0): (2.0, 2.5), ("b", 1): (2, 2)}
    largest_gains = {("a", 0): 4.0, ("a", 1): 6.0, ("b", 0): 1.0, ("b", 1): 1.0}
    rows = [
        shared
        | {"method": method, "params": "{}", "status": "ok", "split": split, "reward": reward}
        for (task, seed), pair in rewards.items()
        for shared in [{"task": task, "seed": seed}]
        for method, reward in zip(("sft", "dpo"), pair, strict=True)
        for split in ("validation", "test")
    ]
    line = [
        {"task": task, "seed": seed, "kl": kl, "reward": rewards[task, seed][0] + kl / 2 * gain}
        for (task, seed), gain in largest_gains.items()
        for kl in (2.0, 0.0)
    ]
    frames = {"runs": pd.DataFrame(rows), "frontier": pd.DataFrame(line)}
    return make_results(frames, experiment="contrasts: [[dpo, sft]]")


def make_results(frames: Mapping[str, pd.DataFrame], experiment: str = "") -> Results:
    """Return results with these tables by name, and others empty."""
    tables = {name: table.typed(frames.get(name, pd.DataFrame())) for name, table in TABLES.items()}
    return Results(**tables, manifest={}, experiment=experiment)


def fail(runs: pd.DataFrame, mask: pd.Series, error: str) -> pd.DataFrame:
    """Return the runs with some of them failed: without metrics and with an error."""
    runs = runs.copy()
    endings = ("reward", "rate", "kl", "_sft", "efficiency")
    runs.loc[mask, [name for name in runs.columns if name.endswith(endings)]] = np.nan
    runs["status"] = runs["status"].where(~mask, "failed")
    runs["error"] = runs["error"].astype(object).where(~mask, error)
    return runs


def write_folder(
    folder: Path, runs: pd.DataFrame, contrasts: Sequence[tuple[str, str]] = ()
) -> Path:
    """Write a whole results folder around runs, with these contrasts declared."""
    folder.mkdir(parents=True, exist_ok=True)
    tasks, methods = list(dict.fromkeys(runs["task"])), list(dict.fromkeys(runs["method"]))
    seeds = sorted(set(runs["seed"]))
    tables = {
        schema.FRONTIER: frontier_rows(tasks, seeds),
        schema.HEAD_TO_HEAD: head_to_head_rows(tasks, methods, seeds),
        schema.CURVES: curve_rows(tasks, methods, seeds),
        schema.CHECKPOINTS: checkpoint_rows(runs),
        schema.OPTIMUM: optimum_rows(runs),
        schema.STAGES: stage_rows(tasks, seeds),
        schema.METHODS: method_rows(tasks, methods),
        schema.REGRET: regret_rows(methods, seeds) if "exact" in tasks else [],
        schema.TEMPERATURES: temperature_rows(runs),
        schema.SAMPLES: sample_rows(tasks, methods, seeds),
    }
    schema.RUNS.write(folder, runs)
    for table, rows in tables.items():
        table.write(folder, pd.DataFrame(rows, columns=table.names))
    (folder / "manifest.json").write_text(json.dumps(make_manifest(methods)))
    declared = json.dumps([list(pair) for pair in contrasts])
    (folder / "experiment.yaml").write_text(f"name: synthetic\nseeds: 6\ncontrasts: {declared}\n")
    return folder

"""A results folder made up for the report's tests, with no run behind it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.results.loading import (
    CHECKPOINT_COLUMNS,
    CURVE_COLUMNS,
    FRONTIER_COLUMNS,
    HEAD_TO_HEAD_COLUMNS,
    METHOD_COLUMNS,
    REGRET_COLUMNS,
    OPTIMUM_COLUMNS,
    RUN_COLUMNS,
    SAMPLE_COLUMNS,
    STAGE_COLUMNS,
)

ATTACK = "fine <script>alert(1)</script> | `code` ``` *bold*\n</pre>"
START = {"polite": 1.08, "exact": 0.1, "haiku": 0.6}
HEIGHT = {"polite": 4.9, "exact": 3.2, "haiku": 4.0}
# What the methods of a large comparison learn from, and the share of the limit's gain they get.
LEARNS_FROM = {
    "sft": "none",
    "dpo": "pairs",
    "ppo": "reward",
    "ppo_gold": "gold",
    "best_of_n": "reward",
    **dict.fromkeys(["ipo", "slic", "robust_dpo", "cdpo", "simpo", "orpo", "apo"], "pairs"),
    **dict.fromkeys(["kto", "bco"], "unpaired"),
    **dict.fromkeys(["rloo", "grpo", "online_dpo", "reinforce"], "reward"),
    **dict.fromkeys(["expert_iteration", "best_of_n_distilled"], "reward"),
    "filtered_sft": "rankings",
}
SHARE = {m: round(0.3 + 0.37 * i % 0.5, 2) for i, m in enumerate(LEARNS_FROM)}
SHARE |= {"sft": 0.0, "dpo": 0.6, "ppo": 0.72, "ppo_gold": 0.95, "best_of_n": 0.66}
UNTRAINED = ("sft", "best_of_n")
TITLES = {"sft": "SFT only", "dpo": "DPO", "ppo": "PPO", "ppo_gold": "PPO on gold"}
PAPERS = {
    m: (f"Author of {m}, 2023", f"https://example.org/{m}") for m in LEARNS_FROM if m != "sft"
}
PROMPTS = 12
GRID: dict[str, dict[str, list[float]]] = {
    "sft": {},
    "dpo": {"beta": [0.1, 0.2, 0.4, 0.8]},
    "ppo": {"kl_coef": [0.1, 0.2, 0.4, 0.8]},
    "ppo_gold": {"kl_coef": [0.1, 0.2, 0.4, 0.8]},
    "best_of_n": {"n": [2, 4, 16, 64]},
}


def limit(task: str, kl: float) -> float:
    return START[task] + HEIGHT[task] * (1 - float(np.exp(-0.75 * kl**0.8)))


def grid_of(method: str) -> dict[str, list[float]]:
    return GRID.get(method, {"beta": [0.1, 0.2, 0.4, 0.8]})


def settings(method: str) -> list[tuple[str, float]]:
    if not grid_of(method):
        return [("{}", float("nan"))]
    [(name, values)] = grid_of(method).items()
    return [(json.dumps({name: value}), value) for value in values]


def _kl(method: str, strength: float) -> float:
    if method == "sft":
        return 0.0
    return float(np.log(strength) * 0.9) if method == "best_of_n" else 0.55 / (strength + 0.06)


def make_runs(tasks: list[str], methods: list[str], seeds: int) -> pd.DataFrame:
    """Runs along the limit's shape, each method at its share of it, less where KL is high."""
    random = np.random.default_rng(0)
    rows = []
    for task in tasks:
        pipelines = random.normal(0, 0.12, size=seeds)
        for method in methods:
            for params, strength in settings(method):
                for seed in range(seeds):
                    kl = _kl(method, strength) * (1 + random.normal(0, 0.05))
                    share = SHARE[method] * (1 - 0.02 * kl**2 * (method != "ppo_gold"))
                    shared = {"task": task, "method": method, "params": params, "seed": seed}
                    for split in ("validation", "test"):
                        gain = share * (limit(task, kl) - START[task])
                        gold = START[task] + pipelines[seed] + gain + random.normal(0, 0.06)
                        best = limit(task, kl) + pipelines[seed]
                        trained = method not in UNTRAINED
                        online = LEARNS_FROM[method] in ("reward", "gold") and trained
                        rows.append(
                            shared
                            | {
                                "strength": strength,
                                "split": split,
                                "status": "ok",
                                "reward": gold,
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
    runs = pd.DataFrame(rows).reindex(columns=RUN_COLUMNS)
    sft = runs["method"] == "sft"
    runs.loc[sft, ["win_rate_sft", "labels"]] = [np.nan, 0]
    return runs


def fail(runs: pd.DataFrame, mask: pd.Series, error: str) -> pd.DataFrame:
    """Turn runs into failed ones: no figures, an error."""
    runs = runs.copy()
    figures = [c for c in RUN_COLUMNS if c.endswith(("reward", "rate", "kl", "_sft", "efficiency"))]
    runs.loc[mask, figures] = np.nan
    runs["status"] = runs["status"].where(~mask, "failed")
    runs["error"] = runs["error"].astype(object).where(~mask, error)
    return runs


def write_folder(
    folder: Path, runs: pd.DataFrame, contrasts: Sequence[tuple[str, str]] = ()
) -> Path:
    """Write a whole results folder around these runs, with these contrasts declared."""
    folder.mkdir(parents=True, exist_ok=True)
    tasks, methods = list(dict.fromkeys(runs["task"])), list(dict.fromkeys(runs["method"]))
    seeds = sorted(set(runs["seed"]))
    runs.to_csv(folder / "runs.csv", index=False)
    tables = {
        "frontier": (_frontier(tasks, seeds), FRONTIER_COLUMNS),
        "head_to_head": (_head_to_head(tasks, methods, seeds), HEAD_TO_HEAD_COLUMNS),
        "curves": (_curves(tasks, methods, seeds), CURVE_COLUMNS),
        "checkpoints": (_checkpoints(runs), CHECKPOINT_COLUMNS),
        "optimum": (_optimum(runs), OPTIMUM_COLUMNS),
        "stages": (_stages(tasks, seeds), STAGE_COLUMNS),
        "methods": (_methods(tasks, methods), METHOD_COLUMNS),
        "objective": (_objective(methods, seeds) if "exact" in tasks else [], REGRET_COLUMNS),
    }
    for name, (rows, columns) in tables.items():
        pd.DataFrame(rows, columns=columns).to_csv(folder / f"{name}.csv", index=False)
    samples = pd.DataFrame(_samples(tasks, methods, seeds), columns=SAMPLE_COLUMNS)
    samples.to_parquet(folder / "samples.parquet")
    (folder / "manifest.json").write_text(json.dumps(_manifest(methods)))
    declared = json.dumps([list(pair) for pair in contrasts])
    (folder / "experiment.yaml").write_text(f"name: synthetic\nseeds: 6\ncontrasts: {declared}\n")
    return folder


def _frontier(tasks: list[str], seeds: list[int]) -> list[Any]:
    return [
        (t, s, k, limit(t, k) + 0.04 * s - 0.1, None if t == "exact" else 3072 * np.exp(-0.7 * k))
        for t in tasks
        for s in seeds
        for k in np.linspace(0, 1, 60) ** 2 * (6 + 0.2 * s)
    ]


def _head_to_head(tasks: list[str], methods: list[str], seeds: list[int]) -> list[Any]:
    """Each side's share, with what seed, prompt and length add to it."""
    random = np.random.default_rng(0)
    rows = []
    for task in tasks:
        easy = random.normal(0, 0.05, size=(len(methods), PROMPTS))
        lucky = random.normal(0, 0.03, size=(len(methods), len(seeds)))
        for j, seed in enumerate(seeds):
            for prompt in range(PROMPTS):
                size = random.normal(18, 1.5, size=len(methods)) + [SHARE[m] for m in methods]
                good = [
                    SHARE[m] + easy[i, prompt] + lucky[i, j] + 0.02 * (size[i] - 18)
                    for i, m in enumerate(methods)
                ]
                rows += [
                    (task, seed, prompt, a, b, 0.5 + 0.4 * (good[i] - good[k]), size[i], size[k])
                    for i, a in enumerate(methods)
                    for k, b in enumerate(methods)
                    if a != b
                ]
    return rows


def _curves(tasks: list[str], methods: list[str], seeds: list[int]) -> list[Any]:
    random, rows = np.random.default_rng(0), []
    for task in tasks:
        for method in (m for m in methods if m not in UNTRAINED):
            for params, _ in settings(method):
                for seed in seeds:
                    for step in range(128, 6145, 256):
                        grown = 1 - float(np.exp(-step / 2000)) + random.normal(0, 0.03)
                        own = {"loss": 0.7 - 0.3 * grown}
                        if LEARNS_FROM[method] in ("reward", "gold"):
                            own = {"reward": 4 * grown, "kl": 2.5 * grown}
                        rows += [(task, method, params, seed, step, k, v) for k, v in own.items()]
    return rows


def _checkpoints(runs: pd.DataFrame) -> list[Any]:
    """Each training on its way from SFT to where it ended: KL grows evenly, gold on the limit's
    shape."""
    rows = []
    trained = runs[(runs["split"] == "test") & ~runs["method"].isin(UNTRAINED)]
    for run in trained.to_dict("records"):
        for part in (1, 4, 9, 16, 25, 36):
            kl = run["kl"] * part / 36
            start = START[run["task"]]
            gold = start + SHARE[run["method"]] * (limit(run["task"], kl) - start)
            figures = (gold if part < 36 else run["reward"], 0.4 * kl, kl, 18 + kl, 9 - kl)
            names = (run[name] for name in ("task", "method", "params", "strength", "seed"))
            rows.append((*names, 170 * part, *figures, -0.8 * kl, -2.1 * kl, None))
    return rows


def _optimum(runs: pd.DataFrame) -> list[Any]:
    moved = runs[(runs["split"] == "test") & (runs["kl"] > 0)]
    names = ["task", "method", "params", "seed", "kl", "response_tokens"]
    held = {"exact": (0.35, 0.52), "polite": (None, None), "haiku": (None, None)}
    return [(*run[names], 17.5, *held[run["task"]]) for _, run in moved.iterrows()]


def _stages(tasks: list[str], seeds: list[int]) -> list[Any]:
    return [
        (t, s, stage, 12.5, 0.78 if stage == "reward_model" else None, None, None, None)
        for t in tasks
        for s in seeds
        for stage in ("base_model", "sft", "feedback", "reward_model", "limit")
    ]


def _objective(methods: list[str], seeds: list[int]) -> list[Any]:
    return [
        ("exact", m, p, x, s, 1.0, 2.0, 0.5, SHARE[m] - 0.01 * s, 0.3, 0.9, -0.2)
        for m in methods
        if m != "sft"
        for p, x in settings(m)
        for s in seeds
    ]


def _methods(tasks: list[str], methods: list[str]) -> list[Any]:
    """The same settings on all tasks, but for the epochs on exact."""
    rows = []
    for task in tasks:
        for m in methods:
            about = (TITLES.get(m, m), LEARNS_FROM[m], next(iter(grid_of(m)), ""))
            fixed = {"examples": 4096, "masked": True, "epochs": 2 if task == "exact" else 1}
            paper = PAPERS.get(m, ("", ""))
            rows.append((task, m, *about, *paper, json.dumps(fixed), json.dumps(grid_of(m))))
    return rows


def _samples(tasks: list[str], methods: list[str], seeds: list[int]) -> list[Any]:
    scores = (1.5, 0.3, 2.0, 12, None)
    return [
        (t, m, p, s, "test", prompt, ATTACK if m == "ppo" else f"a reply of {m} </answer>", *scores)
        for t in tasks
        for m in methods
        for p, _ in settings(m)
        for s in seeds[:2]
        for prompt in ("why is my laptop frozen ?", "<b>why</b> ?", "c", "d")
    ]


def _manifest(methods: list[str]) -> dict[str, Any]:
    return {
        "name": "synthetic",
        "command": "prefrontier run default.yaml",
        "started": "2026-11-21 10:00",
        "seconds": 512.3,
        "device": "cpu",
        "hardware": {"cpu": "A Processor", "cores": 2, "memory_gb": 16.0, "gpu": None},
        "versions": {"python": "3.11.9", "torch": "2.11.0"},
        "commit": "0123456789abcdef",
        "methods": {
            m: {
                "title": TITLES.get(m, m),
                "feedback": LEARNS_FROM[m],
                "privileged": m == "ppo_gold",
            }
            for m in methods
        },
        "tasks": {"polite": {"title": "polite: support replies"}},
    }

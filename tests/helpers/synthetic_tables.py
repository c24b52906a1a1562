"""The tables and the manifest that a made-up results folder has around its runs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from helpers.synthetic_design import (
    LEARNS_FROM,
    PAPERS,
    SHARE,
    START,
    TITLES,
    UNTRAINED,
    grid_of,
    optimal_reward,
    settings,
)

ATTACK = "fine <script>alert(1)</script> | `code` ``` *bold*\n</pre>"
PROMPTS = 12


def frontier_rows(tasks: list[str], seeds: list[int]) -> list[Any]:
    return [
        (
            t,
            s,
            k,
            optimal_reward(t, k) + 0.04 * s - 0.1,
            None if t == "exact" else 3072 * np.exp(-0.7 * k),
        )
        for t in tasks
        for s in seeds
        for k in np.linspace(0, 1, 60) ** 2 * (6 + 0.2 * s)
    ]


def head_to_head_rows(tasks: list[str], methods: list[str], seeds: list[int]) -> list[Any]:
    """Return win rates by both sides' shares, with effects of seed, prompt and length."""
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


def curve_rows(tasks: list[str], methods: list[str], seeds: list[int]) -> list[Any]:
    random, rows = np.random.default_rng(0), []
    for task in tasks:
        for method in (m for m in methods if m not in UNTRAINED):
            for params, _ in settings(method):
                for seed in seeds:
                    for step in range(128, 6145, 256):
                        grown = 1 - float(np.exp(-step / 2000)) + random.normal(0, 0.03)
                        logged = {"loss": 0.7 - 0.3 * grown}
                        if LEARNS_FROM[method] in ("reward", "gold"):
                            logged = {"reward": 4 * grown, "kl": 2.5 * grown}
                        rows += [
                            (task, method, params, seed, step, k, v) for k, v in logged.items()
                        ]
    return rows


def checkpoint_rows(runs: pd.DataFrame) -> list[Any]:
    """Return each training's way to its final policy: KL grows evenly, reward as the frontier."""
    rows = []
    trained = runs[(runs["split"] == "test") & ~runs["method"].isin(UNTRAINED)]
    for run in trained.to_dict("records"):
        for part in (1, 4, 9, 16, 25, 36):
            kl = run["kl"] * part / 36
            start = START[run["task"]]
            reward = start + SHARE[run["method"]] * (optimal_reward(run["task"], kl) - start)
            metrics = (reward if part < 36 else run["reward"], 0.4 * kl, kl, 18 + kl, 9 - kl)
            names = (run[name] for name in ("task", "method", "params", "strength", "seed"))
            unlabeled = 0.2 + 0.01 * kl if run["task"] == "exact" else None
            rows.append((*names, 170 * part, *metrics, -0.8 * kl, -2.1 * kl, unlabeled))
    return rows


def optimum_rows(runs: pd.DataFrame) -> list[Any]:
    moved = runs[(runs["split"] == "test") & (runs["kl"] > 0)]
    names = ["task", "method", "params", "seed", "kl", "response_tokens"]
    held = {"exact": (0.35, 0.52), "polite": (None, None), "haiku": (None, None)}
    return [(*run[names], 17.5, *held[run["task"]]) for _, run in moved.iterrows()]


def stage_rows(tasks: list[str], seeds: list[int]) -> list[Any]:
    return [
        (t, s, stage, 12.5, 0.78 if stage == "reward_model" else None, *[None] * 11)
        for t in tasks
        for s in seeds
        for stage in ("base_model", "sft", "feedback", "reward_model", "frontier")
    ]


def temperature_rows(runs: pd.DataFrame) -> list[Any]:
    test = runs[(runs["split"] == "test") & (runs["status"] == "ok")]
    names = ["task", "method", "params", "seed"]
    return [
        (*run[names], temperature, run["reward"] - 0.1 * temperature, run["win_rate_sft"])
        for temperature in (0.0, 0.7)
        for _, run in test.iterrows()
    ]


def regret_rows(methods: list[str], seeds: list[int]) -> list[Any]:
    return [
        ("exact", m, p, x, s, 1.0, 2.0, 0.5, SHARE[m] - 0.01 * s, 0.3, 0.9, -0.2)
        for m in methods
        if m != "sft"
        for p, x in settings(m)
        for s in seeds
    ]


def method_rows(tasks: list[str], methods: list[str]) -> list[Any]:
    """Return the same settings for all tasks, except for the epochs on exact."""
    rows = []
    for task in tasks:
        for m in methods:
            about = (TITLES.get(m, m), LEARNS_FROM[m], next(iter(grid_of(m)), ""))
            fixed = {"examples": 4096, "masked": True, "epochs": 2 if task == "exact" else 1}
            paper = PAPERS.get(m, ("", ""))
            rows.append((task, m, *about, *paper, json.dumps(fixed), json.dumps(grid_of(m))))
    return rows


def sample_rows(tasks: list[str], methods: list[str], seeds: list[int]) -> list[Any]:
    metrics = (1.5, 0.3, 2.0, 12)
    return [
        (
            t,
            m,
            p,
            s,
            "test",
            prompt,
            ATTACK if m == "ppo" else f"a reply of {m} </answer>",
            *metrics,
        )
        for t in tasks
        for m in methods
        for p, _ in settings(m)
        for s in seeds[:2]
        for prompt in ("why is my laptop frozen ?", "<b>why</b> ?", "c", "d")
    ]


def make_manifest(methods: list[str]) -> dict[str, Any]:
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

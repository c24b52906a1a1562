"""The tasks and methods of made-up results, and the effects that they have."""

from __future__ import annotations

import json

import numpy as np

START = {"polite": 1.08, "exact": 0.1, "haiku": 0.6}
HEIGHT = {"polite": 4.9, "exact": 3.2, "haiku": 4.0}
# What the methods of a large comparison learn from, and the share of the optimal gain they get.
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
GRID: dict[str, dict[str, list[float]]] = {
    "sft": {},
    "dpo": {"beta": [0.1, 0.2, 0.4, 0.8]},
    "ppo": {"kl_coef": [0.1, 0.2, 0.4, 0.8]},
    "ppo_gold": {"kl_coef": [0.1, 0.2, 0.4, 0.8]},
    "best_of_n": {"n": [2, 4, 16, 64]},
}


def optimal_reward(task: str, kl: float) -> float:
    """Return the optimal frontier's reward at a KL."""
    return START[task] + HEIGHT[task] * (1 - float(np.exp(-0.75 * kl**0.8)))


def grid_of(method: str) -> dict[str, list[float]]:
    return GRID.get(method, {"beta": [0.1, 0.2, 0.4, 0.8]})


def settings(method: str) -> list[tuple[str, float]]:
    if not grid_of(method):
        return [("{}", float("nan"))]
    [(name, values)] = grid_of(method).items()
    return [(json.dumps({name: value}), value) for value in values]

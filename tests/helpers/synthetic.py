"""A made-up results folder for tests of analysis and report, with no run behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.results import schema
from bench.results.loading import Results

ATTACK = "fine <script>alert(1)</script> | `code` ``` *bold*\n</pre>"
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
TABLES = {
    "runs": schema.RUNS,
    "frontier": schema.FRONTIER,
    "head_to_head": schema.HEAD_TO_HEAD,
    "curves": schema.CURVES,
    "stages": schema.STAGES,
    "regret": schema.REGRET,
    "temperatures": schema.TEMPERATURES,
    "checkpoints": schema.CHECKPOINTS,
    "optimum": schema.OPTIMUM,
    "method_settings": schema.METHODS,
    "llm_judge": schema.LLM_JUDGE,
    "samples": schema.SAMPLES,
}
RUN = ["method", "params", "seed"]
PROMPTS = 12
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
    sft = runs["method"] == "sft"
    runs.loc[sft, ["win_rate_sft", "labels"]] = [np.nan, 0]
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
        schema.FRONTIER: _frontier(tasks, seeds),
        schema.HEAD_TO_HEAD: _head_to_head(tasks, methods, seeds),
        schema.CURVES: _curves(tasks, methods, seeds),
        schema.CHECKPOINTS: _checkpoints(runs),
        schema.OPTIMUM: _optimum(runs),
        schema.STAGES: _stages(tasks, seeds),
        schema.METHODS: _methods(tasks, methods),
        schema.REGRET: _regret(methods, seeds) if "exact" in tasks else [],
        schema.TEMPERATURES: _temperatures(runs),
        schema.SAMPLES: _samples(tasks, methods, seeds),
    }
    schema.RUNS.write(folder, runs)
    for table, rows in tables.items():
        table.write(folder, pd.DataFrame(rows, columns=table.names))
    (folder / "manifest.json").write_text(json.dumps(_manifest(methods)))
    declared = json.dumps([list(pair) for pair in contrasts])
    (folder / "experiment.yaml").write_text(f"name: synthetic\nseeds: 6\ncontrasts: {declared}\n")
    return folder


def _frontier(tasks: list[str], seeds: list[int]) -> list[Any]:
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


def _head_to_head(tasks: list[str], methods: list[str], seeds: list[int]) -> list[Any]:
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
            rows.append((*names, 170 * part, *metrics, -0.8 * kl, -2.1 * kl))
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
        for stage in ("base_model", "sft", "feedback", "reward_model", "frontier")
    ]


def _temperatures(runs: pd.DataFrame) -> list[Any]:
    test = runs[(runs["split"] == "test") & (runs["status"] == "ok")]
    names = ["task", "method", "params", "seed"]
    return [
        (*run[names], temperature, run["reward"] - 0.1 * temperature, run["win_rate_sft"])
        for temperature in (0.0, 0.7)
        for _, run in test.iterrows()
    ]


def _regret(methods: list[str], seeds: list[int]) -> list[Any]:
    return [
        ("exact", m, p, x, s, 1.0, 2.0, 0.5, SHARE[m] - 0.01 * s, 0.3, 0.9, -0.2)
        for m in methods
        if m != "sft"
        for p, x in settings(m)
        for s in seeds
    ]


def _methods(tasks: list[str], methods: list[str]) -> list[Any]:
    """Return the same settings for all tasks, except for the epochs on exact."""
    rows = []
    for task in tasks:
        for m in methods:
            about = (TITLES.get(m, m), LEARNS_FROM[m], next(iter(grid_of(m)), ""))
            fixed = {"examples": 4096, "masked": True, "epochs": 2 if task == "exact" else 1}
            paper = PAPERS.get(m, ("", ""))
            rows.append((task, m, *about, *paper, json.dumps(fixed), json.dumps(grid_of(m))))
    return rows


def _samples(tasks: list[str], methods: list[str], seeds: list[int]) -> list[Any]:
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


def add_judges(folder: Path, task: str) -> None:
    """Give a task of a results folder a judge instead of a gold reward, and a language model."""
    runs = schema.RUNS.read(folder)
    own = runs["task"] == task
    runs.loc[own, "reward_source"] = "judge"
    runs.loc[own & (runs["method"] != "sft"), ["win_rate_chosen", "implicit_accuracy"]] = [0.4, 0.6]
    schema.RUNS.write(folder, runs)
    stages = schema.STAGES.read(folder)
    rows = [
        (task, seed, stage, 3.5, share, 400, share - 0.05, share + 0.05)
        for seed in sorted(set(runs.loc[own, "seed"]))
        for stage, share in (("judge", 0.71), ("reward_model", 0.66))
    ]
    stages = stages[(stages["task"] != task) | (stages["stage"] != "reward_model")]
    added = pd.DataFrame(rows, columns=schema.STAGES.names)
    schema.STAGES.write(folder, pd.concat([stages, added]))
    schema.LLM_JUDGE.write(folder, schema.LLM_JUDGE.frame(_language_judgments(runs[own])))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["tasks"][task] = {"title": f"{task}: what people prefer", "judge": "a reward model"}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _language_judgments(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows of LLM_JUDGE: each method against SFT, and people's own pairs."""
    shared = {
        "judge": "a-language-model",
        "task": runs["task"].iloc[0],
        "prompts": 40,
        "wins": 22,
        "ties": 4,
        "losses": 12,
        "unparsable": 2,
        "failed": 0,
        "win_rate": 0.63,
        "win_rate_lc": 0.6,
        "first_preferred": 0.55,
        "consistent": 0.8,
    }
    trained = runs.loc[runs["method"] != "sft"].drop_duplicates(["method", "seed"])
    rows = [shared | {**run, "opponent": "sft"} for run in trained[RUN].to_dict("records")]
    return [*rows, shared | {"method": schema.CHOSEN, "opponent": "rejected"}]


def add_calibration(folder: Path) -> None:
    """Put a calibration's summary into the manifest of a results folder."""
    from bench.calibration.summary import summarize

    counts = ["comparisons", "better", "worse", "none", "covered"]
    rows = [("itself", "equal", 100, 2, 1, 97, 95), ("known order", "better", 80, 60, 0, 20, 77)]
    pairs = pd.DataFrame(rows, columns=["kind", "truth", *counts])
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["calibration"] = summarize(pairs, 120)
    (folder / "manifest.json").write_text(json.dumps(manifest))

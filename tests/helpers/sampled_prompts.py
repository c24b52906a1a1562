"""Made-up results of a recorded task, whose seeds share the test prompts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from helpers.synthetic import make_results
from numpy import ndarray

from bench.results.loading import Results

TASK = "hh"


def crossed_values(
    mean: float, seeds: int, prompts: int, seed_deviation: float, prompt_deviation: float = 1.0
) -> ndarray:
    """Return values with effects of seed, prompt and both, [seeds, prompts]; always the same."""
    random = np.random.default_rng(0)
    of_seeds = random.normal(0, seed_deviation, size=(seeds, 1))
    of_prompts = random.normal(0, prompt_deviation, size=(1, prompts))
    rest = random.normal(0, 0.5, size=(seeds, prompts))
    return np.asarray(mean + of_seeds + of_prompts + rest)


def recorded_results(
    rewards: Mapping[str, ndarray], contrasts: Sequence[tuple[str, str]] = ()
) -> Results:
    """Return results of a recorded task.

    Args:
        rewards: Of each method, mean reward by seed and test prompt. It is the mean of two
            responses.
        contrasts: Those that are declared.
    """
    runs, samples = [], []
    for method, table in rewards.items():
        for seed, of_seed in enumerate(table):
            run = {"task": TASK, "method": method, "params": "{}", "seed": seed}
            shared = run | {"status": "ok", "reward_source": "judge", "reward": of_seed.mean()}
            runs += [shared | {"split": split} for split in ("validation", "test")]
            samples += [
                run | {"split": split, "prompt": f"prompt {number}", "reward": reward + noise}
                for number, reward in enumerate(of_seed)
                for split, noise in (("test", 0.3), ("test", -0.3), ("validation", 9.0))
            ]
    frames = {"runs": pd.DataFrame(runs), "samples": pd.DataFrame(samples)}
    experiment = json.dumps({"contrasts": [list(pair) for pair in contrasts]})
    return replace(
        make_results(frames, experiment), manifest={"tasks": {TASK: {"task": "recorded"}}}
    )

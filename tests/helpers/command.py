"""`prefrontier bench` in a process of its own, on a task that takes seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import yaml

TINY = {
    "name": "tiny",
    "seeds": 2,
    "tasks": {
        "exact": {
            "options": {
                "length": 3,
                "labels": 256,
                "architecture": {"layers": 1, "hidden": 16},
                "pretraining": {"examples": 1024},
                "sft": {"examples": 256},
                "reward_model": {"epochs": 1},
            }
        }
    },
    "methods": {
        "sft": {},
        "dpo": {"grid": {"beta": [0.5]}, "examples": 256},
        "ppo": {"grid": {"kl_coef": [0.5]}, "episodes": 2048, "batch_size": 64, "save_every": 2},
        "best_of_n": {"grid": {"n": [2, 4]}},
    },
    "evaluation": {"responses_per_prompt": 4, "temperatures": [0]},
}
# The same, smaller: what is tested is the cache.
SMALLEST = TINY | {
    "seeds": 1,
    "methods": {
        "sft": {},
        "dpo": {"grid": {"beta": [0.5]}, "examples": 256},
        "best_of_n": {"grid": {"n": [2]}},
    },
}
# A task whose responses are sampled, not listed.
SAMPLED = TINY | {
    "seeds": 1,
    "tasks": {
        "polite": {
            "options": {
                "labels": 256,
                "architecture": {"layers": 1, "hidden": 32},
                "pretraining": {"examples": 8192},
                "sft": {"examples": 1024},
                "reward_model": {"epochs": 1},
            }
        }
    },
    "methods": {
        "sft": {},
        "dpo": {"grid": {"beta": [0.1, 0.5]}, "examples": 1024},
        "best_of_n": {"grid": {"n": [2]}},
    },
    "evaluation": {"responses_per_prompt": 4, "frontier_samples": 256, "checkpoints": 0},
}
TIMES = ["train_seconds", "peak_memory_mb", "jobs_on_device"]


def command(
    folder: Path,
    content: dict[str, object],
    *options: str,
    variables: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    """Start `prefrontier bench` on an experiment, with its cache and results in the folder."""
    folder.mkdir(exist_ok=True)
    file = folder / "tiny.yaml"
    file.write_text(yaml.safe_dump(content))
    arguments = ["bench", str(file), "--out", str(folder / "out"), "--device", "cpu", *options]
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments],
        env=os.environ | {"PREFRONTIER_CACHE": str(folder / "cache")} | dict(variables or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], seconds: float = 900) -> str:
    output, _ = process.communicate(timeout=seconds)
    return output


def metrics(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "out" / "runs.csv").drop(columns=TIMES)

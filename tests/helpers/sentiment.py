"""A small experiment on the sentiment task: its texts, its model and its classifier."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from helpers.classifiers import WORDS, make_classifier
from helpers.preferences import make_folder


def write_texts(file: Path, count: int) -> Path:
    random = Random(0)
    texts = [" ".join(random.choices(WORDS, k=random.randint(8, 40))) for _ in range(count)]
    file.write_text("".join(json.dumps({"text": text, "label": 0}) + "\n" for text in texts))
    return file


def sentiment_experiment(folder: Path) -> dict[str, Any]:
    """Write what the experiment needs to a folder; return its content."""
    small = {"examples": 64, "epochs": 1, "batch_size": 16, "learning_rate": 1e-3}
    return {
        "seeds": 1,
        "tasks": {
            "sentiment": {
                "options": {
                    "data": str(write_texts(folder / "texts.jsonl", 300)),
                    "model": str(make_folder("gpt2", folder / "gpt2")),
                    "classifier": {
                        "model": str(make_classifier(folder / "classifier")),
                        "label": "POSITIVE",
                        "probability": True,
                    },
                    "response_tokens": 10,
                    "eval_prompts": 6,
                    "labels": 96,
                    "sft": small,
                    "reward_model": {"epochs": 1, "batch_size": 8, "learning_rate": 1e-3},
                    "shares": {"train": 0.7, "validation": 0.15, "test": 0.15},
                }
            }
        },
        "methods": {
            "sft": {},
            "dpo": {"grid": {"beta": [0.1]}, "examples": 64, "batch_size": 16},
            "ppo_gold": {
                "grid": {"kl_coef": [0.01]},
                "episodes": 64,
                "batch_size": 32,
                "minibatches": 2,
            },
        },
        "evaluation": {"frontier_samples": 8, "responses_per_prompt": 4, "checkpoints": 0},
    }

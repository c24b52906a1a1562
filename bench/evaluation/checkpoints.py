"""What training did to a policy on its way: each kept checkpoint, measured as the final one is."""

from __future__ import annotations

import json
from pathlib import Path

from bench.evaluation.measure import Row, measure
from bench.evaluation.reference_samples import Ruler
from methods.core.training.context import CHECKPOINT_FILE
from methods.core.models.policy import load_policy

COLUMNS = (
    "score",
    "proxy_reward",
    "kl",
    "response_tokens",
    "entropy",
    "chosen_logp_change",
    "rejected_logp_change",
)


def measure_checkpoints(ruler: Ruler, folder: Path, per_prompt: int) -> list[Row]:
    """Return a row for each checkpoint in the folder, in the order of training: step, figures.

    On test prompts, for they are shown and nothing is chosen by them. total: the last step.
    """
    rows = []
    for checkpoint in sorted(folder.glob("*"), key=lambda path: int(path.name)):
        policy = load_policy(checkpoint, ruler.world.device)
        figures = measure(ruler, policy, "test", per_prompt).figures
        points = json.loads((checkpoint / CHECKPOINT_FILE).read_text())
        rows.append({**points, **{name: figures[name] for name in COLUMNS}})
    return rows

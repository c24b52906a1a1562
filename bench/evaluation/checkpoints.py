"""Metrics during training: each kept checkpoint is measured like the final policy."""

from __future__ import annotations

import json
from pathlib import Path

from bench.evaluation.draw import Row
from bench.evaluation.measure import measure
from bench.evaluation.reference_samples import ReferenceSamples
from methods.core.models.policy import load_policy
from methods.core.training.context import CHECKPOINT_FILE

# Held-out pairs whose likelihood is measured: checkpoints are many, and only drawn as curves.
PAIRS = 128


def measure_checkpoints(
    reference_samples: ReferenceSamples, folder: Path, per_prompt: int
) -> list[Row]:
    """Measure the checkpoints in a folder on test prompts. Nothing is selected by them.

    Args:
        reference_samples: Those of the pipeline.
        folder: Holds a folder for each checkpoint, named by its number.
        per_prompt: Responses to each prompt.

    Returns:
        A row for each checkpoint, in the order of training: step, total (the last step), and the
        metrics.

    Raises:
        FileNotFoundError: The policy that they belong to is gone.
    """
    checkpoints = sorted(folder.glob("*"), key=lambda path: int(path.name))
    # Without the policy, none of them being there does not say that none was kept.
    folder.parent.stat()
    rows = []
    for checkpoint in checkpoints:
        policy = load_policy(checkpoint, reference_samples.pipeline.device)
        metrics = measure(reference_samples, policy, "test", per_prompt, PAIRS).metrics
        rows.append({**json.loads((checkpoint / CHECKPOINT_FILE).read_text()), **metrics})
    return rows

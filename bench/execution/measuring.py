"""Measuring a trained policy: what an artifact of metrics holds."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.cache.files import write_json
from bench.evaluation.checkpoints import measure_checkpoints
from bench.evaluation.draw import Row
from bench.evaluation.head_to_head import win_rate_chosen
from bench.evaluation.measure import Measured, measure
from bench.evaluation.reference_samples import ReferenceSamples
from bench.evaluation.temperatures import at_temperatures
from bench.tasks.base import Split
from methods.base import Diverged
from methods.core.models.policy import Policy

SPLITS: tuple[Split, ...] = ("validation", "test")
# Responses to each prompt at other temperatures, and of each checkpoint: none of these is a result.
AT_TEMPERATURES = 8
AT_CHECKPOINTS = 8
TEMPERATURES_FILE, CHECKPOINTS_FILE = "temperatures.json", "checkpoints.json"


def measure_policy(
    reference_samples: ReferenceSamples,
    policy: Policy,
    *,
    per_prompt: int,
    temperatures: Sequence[float],
    checkpoints: Path,
    records: Sequence[Path],
    folder: Path,
) -> None:
    """Measure a policy on validation and test prompts and write all that was measured.

    Args:
        reference_samples: Those of the pipeline.
        policy: The policy to measure.
        per_prompt: Responses to each prompt.
        temperatures: Other sampling temperatures.
        checkpoints: Folder of the intermediate policies that were kept.
        records: Files about the training, copied so that the policy itself can be dropped.
        folder: Where everything is written.

    Raises:
        Diverged: The reward is not finite.
    """
    pipeline = reference_samples.pipeline
    for file in records:
        shutil.copy(file, folder)
    other = at_temperatures(reference_samples, policy, temperatures, AT_TEMPERATURES)
    write_json(folder / TEMPERATURES_FILE, other)
    rows = measure_checkpoints(reference_samples, checkpoints, AT_CHECKPOINTS)
    write_json(folder / CHECKPOINTS_FILE, [finite_or_none(row) for row in rows])
    for split in SPLITS:
        measured = measure(reference_samples, policy, split, per_prompt)
        if not math.isfinite(measured.metrics["reward"]):
            source = pipeline.task.reward_source
            remedy = ": lower the judge's learning rate" if source == "judge" else ""
            raise Diverged(f"the {source} reward is not finite{remedy}")
        if split == "test":
            measured.metrics |= win_rate_chosen(pipeline, measured)
        _write(folder, split, measured)


def _write(folder: Path, split: str, measured: Measured) -> None:
    write_json(folder / f"{split}.json", finite_or_none(measured.metrics))
    write_json(folder / f"{split}.samples.json", measured.samples)
    arrays = {"rewards": measured.rewards}
    if measured.weights is not None:
        arrays["weights"] = measured.weights
    np.savez_compressed(folder / f"{split}.npz", **arrays)  # type: ignore[arg-type]


def read_measured(folder: Path, split: str) -> Measured:
    """Return what `measure_policy` wrote for a split."""
    with np.load(folder / f"{split}.npz") as arrays:
        rewards, weights = arrays["rewards"], arrays.get("weights")
    metrics = read_json(folder / f"{split}.json")
    samples = read_json(folder / f"{split}.samples.json")
    return Measured(metrics, samples, rewards, weights)


def read_json(file: Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(file.read_text(encoding="utf-8"))


def finite_or_none(metrics: Row) -> Row:
    """Return the metrics with None where there is no finite number."""
    return {
        name: None if value is None or not math.isfinite(value) else float(value)
        for name, value in metrics.items()
    }

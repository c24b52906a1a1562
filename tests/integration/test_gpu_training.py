"""The training loops on a stand-in for a GPU: no mixed devices, and no waiting for the GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.config.catalog import catalog

pytestmark = pytest.mark.slow
HELPERS = Path(__file__).parents[1]
# TRL's trainers have loops of their own.
BY_TRL = {
    *("best_of_n_distilled", "expert_iteration", "filtered_sft", "grpo", "online_dpo", "orpo"),
    *("rloo", "simpo"),
}
WITHOUT_TRAINING = {"best_of_n", "sft"}
WAYS = ("lora", "checkpointing", "logits_in_parts")
IN_OTHER_WAYS = {f"{method}-{way}" for method in ("DPO", "PPO") for way in WAYS}


@pytest.fixture(scope="module")
def trainings(
    sft_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """Train in a process of its own: the device is registered for good."""
    done = subprocess.run(
        [sys.executable, "-m", "helpers.gpu_training", sft_folder, tmp_path_factory.mktemp("out")],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HELPERS)},
        capture_output=True,
        text=True,
        timeout=1100,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line.pop("name"): line for line in lines}


def test_no_method_makes_the_host_wait_inside_its_loop(trainings: dict[str, Any]) -> None:
    installed = {name for name, entry in catalog().items() if not isinstance(entry, str)}
    assert installed - trainings.keys() == BY_TRL | WITHOUT_TRAINING
    for name in (trainings.keys() & installed) | IN_OTHER_WAYS:
        training = trainings[name]
        assert not training["error"], name
        assert not training["waits"], name
        assert training["steps"] >= 2, name


@pytest.mark.parametrize("name", ["DPO", "PPO"])
def test_the_stand_in_trains_as_the_cpu_does(trainings: dict[str, Any], name: str) -> None:
    training = trainings[f"{name}-compared"]
    assert training["difference"] < 0.01 * training["moved"]


def test_the_stand_in_trains_in_bf16(trainings: dict[str, Any]) -> None:
    expected = {"linear": "torch.bfloat16", "softmax": "torch.float32"}
    assert trainings["precisions"] == expected


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("ReadsItsLoss", "_local_scalar_dense"),
        ("SelectsByMask", "with a mask"),
        ("SelectsInBackward", "in a backward pass"),
        ("CopiesInItsLoss", "a copy that waits"),
    ],
)
def test_a_loop_that_waits_is_found(trainings: dict[str, Any], name: str, operation: str) -> None:
    assert any(operation in wait for wait in trainings[name]["waits"])


def test_a_tensor_on_the_wrong_device_is_found(trainings: dict[str, Any]) -> None:
    assert trainings["ForgetsTheDevice"]["error"].startswith("MixedDevicesError")

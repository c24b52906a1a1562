"""Two processes that share each batch of an offline method train the policy that one trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.distributed_offline import METHODS
from helpers.models import same

pytestmark = pytest.mark.slow
HELPERS = Path(__file__).parents[1]


def launch(sft_folder: Path, out: Path, count: int) -> dict[str, list[torch.Tensor]]:
    """Train every method in `count` processes and return the final weights."""
    arguments = ["-m", "helpers.distributed_offline", str(sft_folder), str(out)]
    if count > 1:
        launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines=1"]
        launcher += ["--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"]
        arguments = [*launcher, f"--num_processes={count}", *arguments]
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HELPERS)},
        capture_output=True,
        text=True,
        timeout=1100,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    weights: dict[str, list[torch.Tensor]] = torch.load(out / "weights.pt", weights_only=True)
    return weights


@pytest.fixture(scope="module")
def both(
    sft_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, list[torch.Tensor]], ...]:
    return tuple(launch(sft_folder, tmp_path_factory.mktemp("out"), count) for count in (1, 2))


@pytest.mark.parametrize("name", METHODS)
def test_two_processes_equal_one(
    both: tuple[dict[str, list[torch.Tensor]], ...], name: str
) -> None:
    one, two = (weights[name] for weights in both)
    assert max(float((a - b).abs().max()) for a, b in zip(one, two, strict=True)) < 1e-4
    assert not same(one, both[0]["start"])

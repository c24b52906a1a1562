"""Two processes that share each batch give the results of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from helpers.preferences import experiment_file, pairs, write_rows

from methods.core.models.policy import ModelPolicy

METRICS = ["reward", "proxy_reward", "kl", "entropy", "response_tokens", "implicit_accuracy"]
pytestmark = pytest.mark.slow
COUNTS = ["prompts_seen", "responses_sampled", "reward_calls", "train_tokens", "labels"]


def launch(folder: Path, count: int) -> Path:
    """Run the small comparison in `count` processes and return its results folder."""
    out = folder / f"out-{count}"
    command = [sys.executable, "-m", "bench", "bench", str(folder / "small.yaml")]
    if count > 1:
        # With --cpu, accelerate would start only one process, without a warning.
        launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
        launcher += ["--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"]
        launcher += [f"--num_processes={count}", "--main_process_port=0", "-m", "bench"]
        command = [*launcher, *command[3:]]
    done = subprocess.run(
        [*command, "--device", "cpu", "--jobs", "1", "--out", str(out)],
        env=os.environ
        | {"PREFRONTIER_CACHE": str(folder / f"cache-{count}"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert json.loads((out / "manifest.json").read_text())["processes"] == count
    return out


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("distributed")
    # 133 rows: neither splits nor batches divide evenly.
    experiment_file(folder, write_rows(folder / "prefs.jsonl", pairs(133)))
    return launch(folder, 1), launch(folder, 2)


def policies(out: Path) -> dict[str, ModelPolicy]:
    manifest = json.loads((out / "manifest.json").read_text())
    cache = out.parent / out.name.replace("out", "cache")
    return {p["method"]: ModelPolicy.load(cache / p["folder"], "cpu") for p in manifest["policies"]}


def test_two_processes_equal_one(both: tuple[Path, Path]) -> None:
    one, two = (pd.read_csv(out / "runs.csv") for out in both)
    assert (two["status"] == "ok").all() and len(two) == len(one) == 6
    for column in METRICS:
        assert two[column].tolist() == pytest.approx(
            one[column].tolist(), rel=1e-3, abs=1e-3, nan_ok=True
        )
    stages = [pd.read_csv(out / "stages.csv")["reward_accuracy"].dropna().tolist() for out in both]
    assert stages[1] == pytest.approx(stages[0], abs=1e-6)


def test_the_trained_weights_agree_for_sft_dpo_and_ppo(both: tuple[Path, Path]) -> None:
    one, two = (policies(out) for out in both)
    for method in ("sft", "dpo", "ppo"):
        weights = zip(one[method].model.parameters(), two[method].model.parameters(), strict=True)
        assert max(float((a - b).abs().max()) for a, b in weights) < 1e-4, method
    moved = zip(one["sft"].model.parameters(), one["ppo"].model.parameters(), strict=True)
    assert max(float((a - b).abs().max()) for a, b in moved) > 5e-3


def test_usage_is_summed_over_all_processes(both: tuple[Path, Path]) -> None:
    one, two = (pd.read_csv(out / "runs.csv") for out in both)
    for column in COUNTS:
        assert two[column].tolist() == one[column].tolist(), column

"""The example package, installed by pip: it is found, trained, and trained again after an edit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRAIN = """
import json
import sys
from pathlib import Path

import torch

from bench.config.catalog import find_method
from bench.config.validation import build
from methods.core.training.context import Context
from methods.core.feedback import Pair
from methods.core.models.sampling import SamplingParams

torch.set_num_threads(1)


def curves(learning_rate):
    settings = {"beta": 0.25, "target": 1.5, "examples": 640, "learning_rate": learning_rate}
    context = Context(
        sft=Path(sys.argv[1]),
        prompts=["a", "b"],
        labels=[Pair(prompt, "a a a", "b b b") for prompt in "ab"] * 50,
        sampling=SamplingParams(max_new_tokens=3),
        budget=10**6,
        seed=0,
        workdir=Path(sys.argv[2]),
        device="cpu",
    )
    build(find_method("squared_hinge", "here"), settings, "here").train(context)
    return context.curves


print(json.dumps([curves(1e-12), curves(2e-4)]))
"""
DIGEST = """
from bench.cache.code import code_digest
from bench.config.catalog import find_method

print(code_digest(find_method("squared_hinge", "here").__module__))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the package, from a copy of its source."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(ROOT / "examples" / "prefrontier-hinge", folder / "source")
    target = folder / "site"
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", target, folder / "source"],
        check=True,
    )
    return target


def run(target: Path, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_it_is_listed(installed: Path) -> None:
    lines = run(installed, "-m", "bench", "methods").splitlines()
    [line] = [line for line in lines if line.startswith("squared_hinge")]
    assert line.split()[1:3] == ["pairs", "beta"] and "Squared hinge loss" in line


@pytest.mark.slow
def test_it_trains_as_its_loss_says(installed: Path, sft_folder: Path, tmp_path: Path) -> None:
    still, trained = json.loads(run(installed, "-c", TRAIN, str(sft_folder), str(tmp_path)))
    # At the reference every margin is 0, and so the loss target^2.
    assert still[-1]["loss"] == pytest.approx(1.5**2, abs=1e-4)
    assert trained[-1]["loss"] < 0.05
    # The margin reaches target / beta and stops there.
    assert trained[-1]["logratio_margin"] == pytest.approx(1.5 / 0.25, rel=0.25)


@pytest.mark.slow
def test_its_own_tests_pass(installed: Path) -> None:
    tests = installed.parent / "source" / "tests"
    assert " passed" in run(installed, "-m", "pytest", "-q", str(tests)).splitlines()[-1]


def test_an_edit_trains_it_again_and_a_comment_does_not(installed: Path) -> None:
    file = installed / "prefrontier_hinge.py"
    before = run(installed, "-c", DIGEST)
    file.write_text(file.read_text() + "# edited\n")
    assert run(installed, "-c", DIGEST) == before
    file.write_text(file.read_text().replace("target: Positive = 1.0", "target: Positive = 2.0"))
    assert run(installed, "-c", DIGEST) != before

"""`prefrontier claims` on small claims: stages of seeds, verdicts, and work that is kept."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from helpers.command import SMALLEST

pytestmark = pytest.mark.slow

ABOUT = {
    "title": "DPO against best-of-n",
    "paper": "Somebody (2024), A paper",
    "url": "https://arxiv.org/abs/1",
    "place": "table 1",
    "statement": "What is said.",
    "refuted_by": "What would refute it.",
    "seeds": [2, 3],
    "experiment": {key: SMALLEST[key] for key in ("tasks", "methods", "evaluation")},
}
# The same at every seed, so decided at the first look.
CERTAIN = {
    "name": "certain",
    "quantity": "labels",
    "of": "dpo",
    "minus": "sft",
    "task": "exact",
    "predicted": "higher",
    "bound": 0.01,
}
# Two seeds cannot tell, but three can.
OPEN = CERTAIN | {"name": "open", "quantity": "response_tokens", "minus": None}
# A third seed would not tell either.
HOPELESS = {
    "name": "hopeless",
    "quantity": "reward",
    "of": "dpo",
    "minus": "best_of_n",
    "task": "exact",
    "predicted": "equal",
    "bound": 1e-6,
}


def write(folder: Path, **contrasts: dict[str, Any]) -> list[str]:
    """Write a claim of one contrast for each name; return the files."""
    files = []
    for name, contrast in contrasts.items():
        file = folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(ABOUT | {"contrasts": [contrast]}))
        files.append(str(file))
    return files


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench", "claims", *arguments]
    return subprocess.Popen(
        [*command, "--out", str(folder / "out"), "--jobs", "2", "--device", "cpu"],
        env={"PREFRONTIER_CACHE": str(folder / "cache"), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(running: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    stdout, stderr = running.communicate()
    return subprocess.CompletedProcess(running.args, running.returncode, stdout, stderr)


def claims(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return end(start(folder, *arguments))


def seeds_on_page(folder: Path) -> dict[str, int]:
    table = pd.read_csv(folder / "out" / "claims.csv").set_index("claim")
    return dict(table["seeds"])


def looks(folder: Path, name: str) -> list[int]:
    return list(yaml.safe_load((folder / "out" / name / "claim.yaml").read_text())["looks"])


def test_seeds_are_added_until_a_claim_is_decided(tmp_path: Path) -> None:
    files = write(tmp_path, certain=CERTAIN, hopeless=HOPELESS, open=OPEN)
    running = start(tmp_path, *files, "--until-decided")
    while running.poll() is None and not (tmp_path / "out" / "claims.csv").exists():
        time.sleep(0.05)
    # If the user stops it now, there is a page of all claims.
    after_first_stage = seeds_on_page(tmp_path) if running.poll() is None else {}
    ended = end(running)
    assert ended.returncode == 0, ended.stderr
    assert after_first_stage == {"certain": 2, "hopeless": 2, "open": 2}
    assert "certain: holds here" in ended.stdout and "hopeless: not decided" in ended.stdout
    assert looks(tmp_path, "certain") == looks(tmp_path, "hopeless") == [2]
    assert looks(tmp_path, "open") == [2, 3]
    table = pd.read_csv(tmp_path / "out" / "claims.csv").set_index("claim")
    assert seeds_on_page(tmp_path) == {"certain": 2, "hopeless": 2, "open": 3}
    outcomes = {"certain": "holds", "hopeless": "not decided", "open": "holds"}
    assert table["outcome"].to_dict() == outcomes
    for name in ("certain", "open"):
        assert (tmp_path / "out" / name / "report.html").stat().st_size > 0
    # All is kept, and what the two claims share was made once.
    again = claims(tmp_path, *files, "--until-decided")
    assert again.returncode == 0
    assert "open: 3 seeds; 9 runs, 0 to do" in again.stdout
    pd.testing.assert_frame_equal(
        table, pd.read_csv(tmp_path / "out" / "claims.csv").set_index("claim")
    )
    # Fewer seeds would lose what is there; more are one look more.
    fewer = claims(tmp_path, files[2], "--seeds", "2")
    assert fewer.returncode == 2 and "has open with 3 seeds" in fewer.stderr
    assert looks(tmp_path, "open") == [2, 3]
    policies = tmp_path / "cache" / "policy"
    assert not policies.exists() or not list(policies.iterdir())


def test_a_run_that_fails_at_each_look_counts_once(tmp_path: Path) -> None:
    experiment = ABOUT["experiment"]
    dpo = experiment["methods"]["dpo"] | {"learning_rate": 1e18}
    claim = ABOUT | {
        "experiment": experiment | {"methods": experiment["methods"] | {"dpo": dpo}},
        "contrasts": [OPEN],
    }
    (tmp_path / "open.yaml").write_text(yaml.safe_dump(claim))
    ended = claims(tmp_path, str(tmp_path / "open.yaml"), "--until-decided")
    assert ended.returncode == 1, ended.stderr
    assert looks(tmp_path, "open") == [2, 3] and "\n3 runs failed" in ended.stdout


def test_the_plan_counts_shared_work_once_and_runs_nothing(tmp_path: Path) -> None:
    files = write(tmp_path, certain=CERTAIN, hopeless=HOPELESS, open=OPEN)
    one, both = (claims(tmp_path, *some, "--plan") for some in (files[:1], files))
    assert one.returncode == both.returncode == 0
    assert "certain: 3 seeds; 9 runs, 9 to do" in both.stdout
    first = claims(tmp_path, *files, "--plan", "--until-decided")
    assert "certain: 2 seeds; 6 runs, 6 to do" in first.stdout
    rows = [[line for line in of.stdout.splitlines() if "dpo" in line] for of in (one, both)]
    assert rows[0][-1:] == rows[1][-1:]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none"], "claim 'none': no such file"),
        (["kto_no_worse_than_dpo", "kto_no_worse_than_dpo"], "two of them have one name"),
        (["kto_no_worse_than_dpo", "--seeds", "0"], "--seeds: must be from 1"),
        (["kto_no_worse_than_dpo", "--seeds", "3", "--until-decided"], "--seeds is for one stage"),
        (["kto_no_worse_than_dpo", "--executor", "local2"], "--executor: unknown executor"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    ended = claims(tmp_path, *arguments)
    assert ended.returncode == 2 and words in ended.stderr
    assert ended.stderr.count("\n") == 1 and not (tmp_path / "out").exists()

"""Every problem has a text, and a new text makes no artifact anew."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.data.checks import VARYING_DETAILS
from bench.data.forms import FORMS
from bench.data.rows import Code
from bench.data.wording import EXAMPLES, FORM_NAMES, PROBLEMS, problem_text

ROOT = Path(__file__).parents[4]
DIGESTS = """
from bench.cache.code import code_digest
for stage in ("recorded_feedback", "texts", "base_model", "judge", "reward_model", "sft"):
    print(code_digest(f"bench.pipeline.stages.{stage}"))
"""


def test_every_code_and_form_has_its_text() -> None:
    assert PROBLEMS.keys() == set(Code)
    assert FORM_NAMES.keys() == {form.name for form in FORMS}
    # Details that vary stand in the example alone, or kinds would be counted under one row's text.
    assert EXAMPLES.keys() == VARYING_DETAILS
    assert not any("{" in PROBLEMS[code] for code in VARYING_DETAILS)


def test_the_place_of_broken_json_is_named() -> None:
    details = {"message": "Unterminated string starting at", "line": 1, "column": 7}
    assert problem_text("not_json", details) == (
        "not JSON",
        "Unterminated string starting at column 7",
    )
    details |= {"line": 3}
    assert problem_text("not_json", details).example.endswith("at line 3 column 7")


def digests(folder: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", DIGESTS]
    return subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_new_wording_changes_no_digest_and_a_new_code_does(tmp_path: Path) -> None:
    for package in ("bench", "methods"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    before = digests(tmp_path)
    assert len(set(before.split())) == 6
    data = tmp_path / "bench" / "data"
    replace(data / "wording.py", "an empty answer", "no answer")
    replace(data / "rows.py", "Why a row cannot be used.", "The reason.")
    replace(data / "reading.py", "no such file or folder", "nothing there")
    replace(data / "stored.py", "cannot be loaded", "not loaded")
    summary = tmp_path / "bench" / "pipeline" / "summary.py"
    replace(summary, "repeat an earlier row", "come twice")
    stage = tmp_path / "bench" / "pipeline" / "stages" / "recorded_feedback.py"
    replace(stage, "rows are too few", "rows do not do")
    assert digests(tmp_path) == before
    replace(data / "rows.py", '"empty_answer"', '"no_answer"')
    # Both of the stages that read data.
    assert not {*before.split()[:2]} & {*digests(tmp_path).split()[:2]}

"""Runs that fail: a row that says why, and the others go on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from helpers.command import TINY, command, finish

from bench.cache.store import Store
from bench.pipeline.embedded import EmbeddedPipeline
from bench.tasks.exact import Exact
from methods.base import Diverged

BROKEN = '''
"""Plug-ins that go wrong."""
import os
from dataclasses import dataclass
from methods.base import Method


@dataclass(frozen=True)
class Broken(Method):
    """Broken on purpose."""

    how: str = "raises"

    def train(self, context):
        policy = context.start()
        if self.how == "dies":
            os._exit(9)
        if self.how == "raises":
            raise ValueError("not | today\\nnor <b>tomorrow</b>")
        next(iter(policy.model.parameters())).data.fill_(float("nan"))
        return policy
'''


@pytest.mark.slow
def test_a_method_that_fails_gets_a_row_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "plugin"
    (package / "broken-1.dist-info").mkdir(parents=True)
    (package / "broken.py").write_text(BROKEN)
    (package / "broken-1.dist-info" / "METADATA").write_text("Name: broken\nVersion: 1\n")
    (package / "broken-1.dist-info" / "entry_points.txt").write_text(
        "[prefrontier.methods]\nbroken = broken:Broken\nmissing = nowhere:Nothing\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(package))
    content = TINY | {
        "seeds": 1,
        "methods": {"sft": {}, "broken": {"grid": {"how": ["dies", "raises", "diverges"]}}},
    }
    process = command(tmp_path, content, "--jobs", "1")
    output = finish(process)
    assert process.returncode == 1, output
    runs = pd.read_csv(tmp_path / "out" / "runs.csv")
    status = runs[runs["split"] == "test"].set_index(["method", "params"])["status"]
    assert status["sft", "{}"] == "ok"
    assert status["broken", '{"how": "raises"}'] == "failed"
    assert status["broken", '{"how": "diverges"}'] == "diverged"
    # One job, and still a process of its own: a crash takes nothing else down.
    assert status["broken", '{"how": "dies"}'] == "failed"
    errors = runs[runs["method"] == "broken"]["error"]
    assert errors.str.contains("ValueError: not \\| today nor").any()
    assert errors.str.contains("its process ended with exit code 9").any()
    assert runs[runs["method"] == "broken"]["reward"].isna().all()
    assert "<b>tomorrow</b>" not in (tmp_path / "out" / "report.html").read_text()
    assert "3 runs failed" in output
    unknown = command(tmp_path, content, "--methods", "missing")
    assert "ModuleNotFoundError" in finish(unknown)
    assert unknown.returncode == 2


def test_a_shared_stage_that_diverges_is_not_kept(tiny_exact: Exact, tmp_path: Path) -> None:
    pretraining = replace(tiny_exact.pretraining, learning_rate=1e38)
    pipeline = EmbeddedPipeline(
        replace(tiny_exact, pretraining=pretraining), 0, "cpu", Store(tmp_path)
    )
    with pytest.raises(Diverged, match="not finite"):
        pipeline.prepare()
    assert "base_model" in pipeline.missing()

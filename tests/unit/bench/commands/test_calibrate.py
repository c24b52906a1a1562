"""A calibration whose jobs end at once: what is said of what stops it, and what it leaves."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.cache.default import default_store
from bench.cache.store import LOCKS
from bench.cache.uses import uses_of
from bench.commands.calibrate import run_calibration
from bench.errors import Missing, Unusable
from bench.execution.scheduling.scheduler import Stopped


@pytest.fixture(autouse=True)
def no_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("bench.execution.execute.execute", lambda *_: {})


def calibrate(folder: Path) -> int:
    return run_calibration(quick=True, jobs=1, out=folder)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (Stopped("/cache: cannot be written to"), "/cache: cannot be written to; once that is"),
        (Unusable("s3://gone: cannot be read"), "s3://gone: cannot be read; once that is mended"),
        (Missing("metrics/3f"), "metrics/3f is missing from the cache; the same command"),
        (OSError(errno.EIO, "Input/output error", "/cache"), "Input/output error: '/cache'"),
    ],
)
def test_what_stops_it_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    problem: Exception,
    words: str,
) -> None:
    def stop(*_: object) -> Any:
        # Nobody may drop what is read here.
        [use] = uses_of(default_store())
        lock = default_store().root / LOCKS / f"{use.name}-0"
        with lock.open("w") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        raise problem

    monkeypatch.setattr("bench.calibration.verdicts.differences", stop)
    assert calibrate(tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert said.startswith("prefrontier: ") and words in said and said.count("\n") == 1


def test_its_files_are_replaced_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "pairs.csv").write_text("old")

    def write_some(folder: Path, *_: object) -> None:
        (folder / "pairs.csv").write_text("new")
        raise ValueError("a bug")

    monkeypatch.setattr("bench.calibration.verdicts.differences", lambda *_: pd.DataFrame())
    monkeypatch.setattr("bench.commands.calibrate.write_calibration", write_some)
    with pytest.raises(ValueError, match="a bug"):
        calibrate(out)
    assert {file.name: file.read_text() for file in out.iterdir()} == {"pairs.csv": "old"}

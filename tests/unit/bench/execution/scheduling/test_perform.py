"""What a job raises decides whether it failed alone or nothing can go on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bench.cache.store import Store
from bench.errors import Missing, Unusable, UserError
from bench.execution.scheduling.job import Job
from bench.execution.scheduling.perform import perform
from methods.base import Diverged


def raise_it(problem: Exception) -> None:
    raise problem


@pytest.mark.parametrize(
    ("problem", "status", "words"),
    [
        (ValueError("wrong"), "failed", "ValueError: wrong"),
        (UserError("wrong"), "failed", "wrong"),
        (Diverged("not finite"), "diverged", "not finite"),
        (MemoryError(), "died", "MemoryError"),
        (Missing("policy/3f"), "missing", "policy/3f"),
        (Unusable("s3://gone"), "stopped", "s3://gone"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "stopped", "free some space"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "stopped", "free some"),
        (OSError(errno.ENOENT, "no file"), "failed", "no file"),
    ],
)
def test_failures_are_told_apart(
    tmp_path: Path, problem: Exception, status: str, words: str
) -> None:
    job = Job(("policy/1",), raise_it, problem, store=Store(tmp_path))
    outcome = perform(job)
    assert outcome.status == status and words in outcome.error


def test_a_cache_that_is_gone_stops_everything(tmp_path: Path) -> None:
    job = Job(("policy/1",), raise_it, ValueError("wrong"), store=Store(tmp_path / "gone"))
    outcome = perform(job)
    assert outcome.status == "stopped" and "cannot be written to" in outcome.error

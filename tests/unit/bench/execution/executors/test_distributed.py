"""Jobs that several processes do together: what fails in one of them ends the command."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from helpers.jobs import job, nothing, run

from bench.cache.store import Store
from bench.errors import Missing, Unusable
from bench.execution.executors.distributed import DistributedExecutor, join
from bench.execution.scheduling.scheduler import Stopped
from methods.base import Diverged


def raise_it(problem: Exception) -> None:
    raise problem


def test_what_ends_in_all_processes_alike_is_an_outcome() -> None:
    diverged = job("diverged", raise_it, Diverged("not finite"))
    outcomes = run(DistributedExecutor(), job("a", nothing), diverged)
    assert {name: one.status for name, one in outcomes.items()} == {
        "a": "ok",
        "diverged": "diverged",
    }


@pytest.mark.parametrize(
    ("problem", "kind", "words"),
    [
        (ValueError("wrong"), Stopped, "ValueError: wrong"),
        (Unusable("s3://gone"), Stopped, "s3://gone"),
        (Missing("policy/3f"), Missing, "policy/3f is missing"),
    ],
)
def test_what_may_have_failed_in_one_process_alone_ends_the_command(
    tmp_path: Path, problem: Exception, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        run(DistributedExecutor(), job("a", raise_it, problem, store=Store(tmp_path)))


def test_processes_wait_for_each_other_longer_than_a_training_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joined: list[dict[str, Any]] = []
    monkeypatch.setattr("accelerate.PartialState", lambda **options: joined.append(options))
    join("cpu")
    assert not joined
    monkeypatch.setenv("WORLD_SIZE", "2")
    join("cpu")
    assert joined[0]["cpu"] and joined[0]["timeout"] >= timedelta(days=1)

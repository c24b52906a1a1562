"""Processes side by side: what follows what, and a death that takes nothing else down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from helpers.jobs import die, rest, say, touch, wait_for

from bench.execution.executors import Job, LocalExecutor, Outcome, default_jobs, multiply_fast


def test_what_follows_from_a_job_is_done_after_what_was_waiting() -> None:
    order: list[str] = []

    def note(outcome: Outcome) -> list[Job]:
        order.append(outcome.error)
        return [Job(say, "its child", note)] if outcome.error == "first" else []

    LocalExecutor(1).run([Job(say, "first", note), Job(say, "second", note)])
    assert order == ["first", "second", "its child"]


def test_nothing_waits_for_a_job_that_it_does_not_follow_from(tmp_path: Path) -> None:
    file = tmp_path / "touched"
    order: list[str] = []

    def note(outcome: Outcome) -> list[Job]:
        order.append(outcome.error)
        return [Job(touch, file, note)] if outcome.error == "first" else []

    LocalExecutor(2).run([Job(wait_for, file, note), Job(say, "first", note)])
    assert set(order) == {"first", "touched", "waited"}


def test_a_death_fails_its_own_job_only() -> None:
    outcomes: dict[str, Outcome] = {}

    def job(name: str, work: Callable[[Any], tuple[str, str, float]], argument: object) -> Job:
        return Job(work, argument, lambda outcome: outcomes.update({name: outcome}) or [])

    mixed = [job("9", die, 9), job("rest", rest, 2), job("a", say, "a"), job("8", die, 8)]
    LocalExecutor(2).run([*mixed, job("b", say, "b")])
    assert {name: outcome.status for name, outcome in outcomes.items()} == {
        "9": "failed",
        "rest": "ok",
        "a": "ok",
        "8": "failed",
        "b": "ok",
    }
    assert outcomes["9"].error.startswith("worker died: EXIT(9)")


def test_small_models_share_a_gpu_and_large_ones_do_not() -> None:
    cores = default_jobs("cpu")
    assert cores == default_jobs("cpu", small_models=False) >= 1
    assert default_jobs("cuda") == min(cores, 8)
    assert default_jobs("cuda", small_models=False) == 1


def test_cpus_multiply_in_full_precision() -> None:
    """Some of them can use TF32, too: numbers would depend on the machine."""
    precision = torch.backends.mkldnn.matmul.fp32_precision
    allowed = torch.backends.cuda.matmul.allow_tf32
    try:
        multiply_fast()
        assert torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.mkldnn.matmul.fp32_precision == precision != "tf32"
    finally:
        torch.backends.cuda.matmul.allow_tf32 = allowed

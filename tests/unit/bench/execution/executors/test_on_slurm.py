"""Jobs through submitit, which runs them on this machine as it would through SLURM."""

from __future__ import annotations

import math
import os
import signal
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from helpers.jobs import (
    exit_with,
    fail,
    job,
    leave_environment,
    meet,
    nothing,
    rest,
    run,
    touch,
    wait_for,
)

from bench.config.slurm import Slurm
from bench.errors import UserError
from bench.execution.executors.on_slurm import Resumable, SlurmExecutor
from bench.execution.scheduling.job import Outcome
from bench.interrupt import SIGNALS, Interrupted, _Arrived, raise_on_signals

LOCAL = Slurm(cluster="local")
ROOT = Path(__file__).parents[5]
GIB = 2.0**30


@pytest.fixture(autouse=True)
def _modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))


@pytest.mark.slow
def test_deaths_and_failures_are_their_own_jobs_only(tmp_path: Path) -> None:
    folder = tmp_path / "slurm"
    outcomes = run(
        SlurmExecutor(LOCAL, folder, most=2),
        job("exits", exit_with, 9),
        job("fails", fail, "first\nsecond"),
        job("hangs", rest, 600, limit=15.0),
        job("environment", leave_environment, tmp_path / "environment"),
    )
    assert {name: outcome.status for name, outcome in outcomes.items()} == {
        "exits": "failed",
        "fails": "failed",
        "hangs": "failed",
        "environment": "ok",
    }, outcomes
    assert outcomes["fails"].error == "ValueError: first second"
    assert "tried twice" in outcomes["exits"].error
    assert f"its log is {folder}" in outcomes["exits"].error
    assert "ended after 15 seconds" in outcomes["hangs"].error
    environment = (tmp_path / "environment").read_text().splitlines()
    assert {"CUDA_VISIBLE_DEVICES=", "PREFRONTIER_JOBS_ON_DEVICE=2"} <= {*environment}
    # Two deaths leave their logs, and so does what hung.
    assert len(list(folder.iterdir())) == 3


@pytest.mark.slow
def test_a_job_that_is_preempted_starts_again(tmp_path: Path) -> None:
    executor, waits = SlurmExecutor(LOCAL, tmp_path / "slurm"), job("a", meet, (tmp_path, "a", 2))
    executor.submit(waits, alone=False)
    wait_for(tmp_path / "met-a")
    (tmp_path / "met-a").unlink()
    (worker,) = [process for process in _workers() if "_submit" in " ".join(process.cmdline())]
    worker.send_signal(signal.SIGUSR2)
    # Its second process comes here too; then it may end.
    wait_for(tmp_path / "met-a")
    (tmp_path / "met-b").touch()
    [(ended, outcome)] = executor.as_completed()
    assert ended is waits and outcome.status == "ok", outcome


@pytest.mark.slow
def test_nothing_is_left_when_it_is_stopped(tmp_path: Path) -> None:
    executor = SlurmExecutor(LOCAL, tmp_path / "slurm")
    executor.submit(job("a", meet, (tmp_path, "a", 2)), alone=False)
    wait_for(tmp_path / "met-a")
    assert _workers()
    executor.stop()
    assert not _workers()


def _workers() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [child for child in children if _is_of_submitit(child)]


def _is_of_submitit(process: psutil.Process) -> bool:
    # It may end at this moment.
    with suppress(psutil.NoSuchProcess):
        return "submitit" in " ".join(process.cmdline())
    return False


def test_slurm_is_asked_for_what_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for SLURM: programs of its names that keep what they are given."""
    _install(tmp_path / "bin", "sbatch", 'cp "$1" "$FOLDER/submitted"; echo "Submitted job 7"')
    _install(tmp_path / "bin", "srun", "true")
    _install(tmp_path / "bin", "scancel", 'echo "$@" >> "$FOLDER/canceled"')
    _install(tmp_path / "bin", "sacct", "true")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("FOLDER", str(tmp_path))
    settings = Slurm(
        partition="gpu", time=90, gpus=1, cpus=4, memory=12, additional_parameters={"account": "me"}
    )
    executor = SlurmExecutor(settings, tmp_path / "slurm", "cuda", threads=4)
    executor.submit(job("a", nothing, kind="sft stage"), alone=False)
    asked = _flags(tmp_path / "submitted")
    assert {
        "--account=me",
        "--cpus-per-task=4",
        "--gpus-per-node=1",
        "--job-name=sft_stage",
        "--mem=12GB",
        "--partition=gpu",
        "--time=90",
    } <= asked
    assert "--exclusive" not in asked
    executor.submit(job("a", nothing), alone=True)
    assert {"--exclusive", "--mem=0GB"} <= _flags(tmp_path / "submitted")
    executor.stop()
    assert (tmp_path / "canceled").read_text() == "7\n7\n"


def test_the_memory_of_a_job_on_the_cpu_is_what_it_is_estimated_to_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(tmp_path / "bin", "sbatch", 'cp "$1" "$FOLDER/submitted"; echo "Submitted job 7"')
    _install(tmp_path / "bin", "srun", "true")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("FOLDER", str(tmp_path))
    executor = SlurmExecutor(Slurm(), tmp_path / "slurm")
    executor.submit(job("a", nothing, memory=2.5 * GIB), alone=False)
    assert "--mem=3GB" in _flags(tmp_path / "submitted")
    executor.submit(job("b", nothing, memory=math.inf), alone=False)
    assert not any(flag.startswith("--mem") for flag in _flags(tmp_path / "submitted"))
    limited = SlurmExecutor(Slurm(memory=2), tmp_path / "slurm")
    with pytest.raises(UserError, match=r"slurm.memory: 2 GiB are too little: a needs 2\.5 GiB"):
        limited.has_room(job("a", nothing, memory=2.5 * GIB), alone=False)


def test_what_sbatch_refuses_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path / "bin", "sbatch", 'echo "invalid partition" >&2; exit 1')
    _install(tmp_path / "bin", "srun", "true")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    executor = SlurmExecutor(Slurm(partition="none"), tmp_path / "slurm")
    with pytest.raises(UserError, match=r"^slurm: .*invalid partition"):
        executor.submit(job("a", touch, tmp_path / "file"), alone=False)


def test_where_there_is_no_slurm_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="--executor slurm: there is no `srun` here"):
        SlurmExecutor(Slurm(), tmp_path / "slurm")


def _install(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def _flags(script: Path) -> set[str]:
    lines = script.read_text().splitlines()
    return {line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")}


@dataclass(eq=False)
class Stub:
    """A job in a queue that is not there, and the queue itself.

    Attributes:
        states: What SLURM says of the job at each look; it has ended after the last.
        at_submission: Called when the job has been accepted.
    """

    folder: Path
    states: list[str] = field(default_factory=list)
    at_submission: Callable[[], object] = lambda: None
    canceled: bool = False
    orders: list[Resumable] = field(default_factory=list)

    @property
    def paths(self) -> SimpleNamespace:
        return SimpleNamespace(folder=self.folder, stderr=self.folder / "log")

    @property
    def state(self) -> str:
        return self.states.pop(0)

    def submit(self, order: Resumable) -> Stub:
        self.orders.append(order)
        self.at_submission()
        return self

    def done(self) -> bool:
        return not self.states

    def result(self) -> Outcome:
        return Outcome("ok")

    def cancel(self, check: bool) -> None:
        self.canceled = True


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stub:
    stub = Stub(tmp_path / "slurm")
    monkeypatch.setattr(SlurmExecutor, "_queue", lambda self, job=None, alone=False: stub)
    return stub


def test_a_job_that_waits_again_has_all_of_its_time_again(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    clock = SimpleNamespace(
        monotonic=lambda: now[0], sleep=lambda seconds: now.append(now.pop() + 60)
    )
    monkeypatch.setattr("bench.execution.executors.on_slurm.time", clock)
    for states, status in (
        (["PENDING", "RUNNING", *["PENDING"] * 9, "RUNNING", "RUNNING"], "ok"),
        (["PENDING", *["RUNNING"] * 9], "failed"),
    ):
        stub.states = [*states]
        executor = SlurmExecutor(Slurm(), stub.folder)
        executor.submit(job("a", nothing, limit=100.0), alone=False)
        [(_, outcome)] = executor.as_completed()
        assert outcome.status == status and stub.canceled == (status == "failed")


def test_what_was_accepted_when_a_signal_came_is_canceled(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.interrupt._arrived", _Arrived())
    # This is changed too.
    monkeypatch.setattr("sys.unraisablehook", sys.unraisablehook)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    stub.states = ["PENDING"]
    stub.at_submission = lambda: os.kill(os.getpid(), signal.SIGTERM)
    executor = SlurmExecutor(Slurm(), stub.folder)
    try:
        raise_on_signals()
        with pytest.raises(Interrupted):
            executor.submit(job("a", nothing), alone=False)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    executor.stop()
    assert stub.canceled


def test_only_jobs_of_this_machine_are_known_to_share_it(stub: Stub) -> None:
    for cluster, at_once in (("local", 3), ("slurm", 1)):
        executor = SlurmExecutor(Slurm(cluster=cluster), stub.folder, most=3)
        executor.submit(job("a", nothing), alone=False)
        assert stub.orders[-1].at_once == at_once
        assert stub.orders[-1].checkpoint().function.at_once == at_once

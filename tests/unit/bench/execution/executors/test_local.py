"""Worker processes: a death that takes nothing else down, GPUs, and nothing left behind."""

from __future__ import annotations

import importlib
import math
import os
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from threading import Timer

import psutil
import pytest
import torch
from helpers.jobs import (
    PATIENCE,
    Unloadable,
    be_at_work,
    change_torch,
    check_torch,
    die_once,
    exit_with,
    fail,
    have_a_child,
    hold_gpu,
    job,
    kill_itself,
    meet,
    note_process,
    nothing,
    rest,
    run,
    run_out_of_memory,
    wait_for,
)
from helpers.overhead import overhead

from bench.errors import UserError
from bench.execution.executors.devices import Device, default_jobs
from bench.execution.executors.local import LocalExecutor
from bench.execution.executors.process import multiply_fast
from bench.execution.scheduling.graph import Graph
from bench.execution.scheduling.scheduler import run_jobs

GIB = 2.0**30


def test_a_death_fails_its_own_job_only() -> None:
    outcomes = run(
        LocalExecutor(2),
        job("9", exit_with, 9),
        job("rest", rest, 1.5),
        job("a", nothing),
        job("killed", kill_itself, signal.SIGKILL),
        job("b", nothing),
    )
    assert {name: outcome.status for name, outcome in outcomes.items()} == {
        "9": "failed",
        "rest": "ok",
        "a": "ok",
        "killed": "failed",
        "b": "ok",
    }
    assert outcomes["9"].error.startswith("its process ended with exit code 9; it was tried twice")
    assert "ended by SIGKILL" in outcomes["killed"].error
    assert "--jobs 1" in outcomes["killed"].error


def test_a_job_whose_process_died_is_tried_once_more_alone(tmp_path: Path) -> None:
    others = [job(f"other {i}", be_at_work, (tmp_path, 0.3)) for i in range(4)]
    outcomes = run(LocalExecutor(3), job("dies", die_once, tmp_path), *others)
    assert all(outcome.status == "ok" for outcome in outcomes.values())
    assert (tmp_path / "alone").read_text() == "0"


def test_a_job_that_runs_out_of_memory_is_tried_twice() -> None:
    outcomes = run(LocalExecutor(2), job("large", run_out_of_memory), job("small", nothing))
    assert outcomes["small"].status == "ok"
    assert outcomes["large"].status == "failed"
    assert "MemoryError" in outcomes["large"].error and "tried twice" in outcomes["large"].error


def test_a_job_that_hangs_is_ended() -> None:
    outcomes = run(LocalExecutor(2), job("hangs", rest, 600, limit=1.0), job("other", nothing))
    assert outcomes["other"].status == "ok"
    assert (
        outcomes["hangs"].status == "failed" and "ended after 1 seconds" in outcomes["hangs"].error
    )


def test_a_job_cannot_change_the_process_of_another() -> None:
    changes = job("changes", change_torch, isolated=True)
    outcomes = run(LocalExecutor(1), changes, job("checks", check_torch, isolated=True))
    assert outcomes["changes"].status == outcomes["checks"].status == "ok", outcomes


def test_jobs_that_are_not_isolated_share_processes(tmp_path: Path) -> None:
    run(LocalExecutor(1), *(job(str(i), note_process, tmp_path) for i in range(5)))
    assert len(list(tmp_path.iterdir())) == 1


def test_small_jobs_take_little_more_than_their_time() -> None:
    seconds, growth = overhead(LocalExecutor(2), 500)
    assert seconds < 5
    assert growth < 20


def test_no_process_is_left_when_it_ends_early() -> None:
    executor = LocalExecutor(3)
    events = run_jobs(Graph([job(name, rest, 600) for name in "abc"]), executor)
    # The third is said to start before it does.
    for _ in range(3):
        next(events)
    assert len(_workers()) == 2
    events.close()
    assert not _workers()


def test_what_a_job_has_started_ends_with_it(tmp_path: Path) -> None:
    executor, file = LocalExecutor(1), tmp_path / "child"
    executor.submit(job("a", have_a_child, file, limit=600.0), alone=False)
    # However long it takes to start something: only then is its time over.
    wait_for(file)
    [running] = executor._running.values()
    running.ends_by = time.monotonic()
    [(_, outcome)] = executor.as_completed()
    executor.stop()
    assert outcome.status == "failed" and "ended after 10 minutes" in outcome.error
    assert _ends(int(file.read_text()))


def _ends(number: int) -> bool:
    """Return whether a process is gone, at the latest after some time."""
    deadline = time.monotonic() + PATIENCE
    while _runs(number):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _runs(number: int) -> bool:
    try:
        return psutil.Process(number).status() != "zombie"
    except psutil.NoSuchProcess:
        return False


def _workers() -> list[psutil.Process]:
    """Return the processes that this one's server has started."""
    time.sleep(0.2)
    children = psutil.Process(os.getpid()).children(recursive=True)
    servers = [child for child in children if _is_of_a_server(child)]
    return [child for child in servers if child.parent() in servers]


def _is_of_a_server(process: psutil.Process) -> bool:
    # What other tests of this process have started may end at this moment.
    with suppress(psutil.NoSuchProcess):
        return "forkserver" in " ".join(process.cmdline())
    return False


def test_eight_gpus_are_filled_and_no_job_sees_another_gpu(tmp_path: Path) -> None:
    devices = tuple(Device(str(i), 16 * GIB) for i in range(8))
    jobs = [job(str(i), meet, (tmp_path, str(i), 16), memory=8 * GIB) for i in range(16)]
    executor = LocalExecutor(24, devices=devices)
    assert executor.describe() == "24 at a time on 8 GPUs"
    outcomes = run(executor, *jobs)
    assert all(outcome.status == "ok" for outcome in outcomes.values()), outcomes
    # All sixteen were at work at once, two on each.
    counts = Counter(file.read_text() for file in tmp_path.glob("met-*"))
    assert counts == dict.fromkeys(map(str, range(8)), 2)


def test_a_job_waits_for_the_gpu_that_it_fits_on() -> None:
    devices = (Device("0", 16 * GIB), Device("1", 40 * GIB))
    jobs = [job(str(i), nothing, memory=30 * GIB) for i in range(3)]
    outcomes = run(LocalExecutor(4, devices=devices), *jobs, job("small", nothing, memory=GIB))
    assert [outcome.status for outcome in outcomes.values()] == ["ok"] * 4


def test_no_worker_keeps_a_gpu_s_memory(tmp_path: Path) -> None:
    executor = LocalExecutor(1, devices=(Device("0", 16 * GIB),))
    run(executor, *(job(str(i), note_process, tmp_path) for i in range(2)))
    assert len(list(tmp_path.iterdir())) == 2


def test_nothing_idles_beside_a_job_that_is_tried_alone() -> None:
    executor = LocalExecutor(2)
    executor.submit(job("a", nothing), alone=False)
    list(executor.as_completed())
    [idle] = _workers()
    executor.submit(job("b", rest, 0.3), alone=True)
    assert not _runs(idle.pid)
    list(executor.as_completed())
    executor.stop()


def test_a_worker_that_died_while_idle_is_replaced() -> None:
    executor = LocalExecutor(1)
    executor.submit(job("a", nothing), alone=False)
    list(executor.as_completed())
    [idle] = _workers()
    server = idle.parent()
    assert server is not None
    # The server would tell that the worker has died, but is late.
    server.suspend()
    idle.kill()
    assert _ends(idle.pid)
    # It is a zombie before its last thread has closed the pipe.
    [(_, worker)] = executor._idle
    assert worker.pipe.poll(PATIENCE)
    Timer(0.5, server.resume).start()
    executor.submit(job("b", nothing), alone=False)
    [(_, outcome)] = executor.as_completed()
    executor.stop()
    assert outcome.status == "ok"


def test_a_death_is_noticed_while_its_children_live(tmp_path: Path) -> None:
    executor, file = LocalExecutor(1), tmp_path / "child"
    executor.submit(job("a", have_a_child, file), alone=False)
    wait_for(file)
    child = int(file.read_text())
    worker = psutil.Process(child).parent()
    assert worker is not None
    worker.kill()
    [(_, outcome)] = executor.as_completed()
    executor.stop()
    assert outcome.status == "died"
    assert _ends(child)


def test_a_limit_of_years_is_no_error() -> None:
    outcomes = run(LocalExecutor(1), job("a", rest, 0.1, limit=1e9))
    assert outcomes["a"].status == "ok"


def test_a_job_of_a_large_model_has_a_gpu_to_itself(tmp_path: Path) -> None:
    devices = (Device("0", 16 * GIB), Device("1", 16 * GIB))
    jobs = [job(str(i), hold_gpu, (tmp_path, str(i)), memory=math.inf) for i in range(4)]
    run(LocalExecutor(8, devices=devices), *jobs)
    assert {file.read_text()[2:] for file in tmp_path.glob("count-*")} == {"1"}


def test_what_fits_on_no_gpu_is_said() -> None:
    executor = LocalExecutor(2, devices=(Device("0", 16 * GIB), Device("1", 24 * GIB)))
    with pytest.raises(UserError, match=r"large: needs 32.0 GiB .* the largest GPU has 24.0 GiB"):
        run(executor, job("large", nothing, memory=32 * GIB))


def test_an_argument_that_cannot_be_loaded_fails_its_job() -> None:
    outcomes = run(LocalExecutor(1), job("a", nothing, Unloadable()), job("b", nothing))
    assert outcomes["a"].status == "failed" and "ImportError: gone" in outcomes["a"].error
    assert outcomes["b"].status == "ok"


def test_a_failure_is_one_line() -> None:
    outcomes = run(LocalExecutor(1), job("a", fail, "first\nsecond"))
    assert outcomes["a"].error == "ValueError: first second"


def test_small_models_share_a_gpu_and_large_ones_do_not() -> None:
    cores = default_jobs("cpu")
    assert cores == default_jobs("cpu", small_models=False) >= 1
    assert default_jobs("cuda") == min(cores, 8)
    assert default_jobs("cuda", small_models=False) == 1
    assert default_jobs("cuda", small_models=False, gpus=8) == min(cores, 8)


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


def test_code_that_was_changed_since_the_start_fails_the_jobs_that_it_is_part_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their results would be kept under the keys of the code that was there before."""
    file = tmp_path / "changing.py"
    file.write_text("def work(_):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    changing = importlib.import_module("changing")
    before = job("before", changing.work, isolated=True)
    assert run(LocalExecutor(1), before)["before"].status == "ok"
    file.write_text("def work(_):\n    return 1 + 1\n")
    outcomes = run(LocalExecutor(1), job("after", changing.work), job("other", nothing))
    assert outcomes["other"].status == "ok"
    assert outcomes["after"].status == "failed"
    assert f"{file} was changed since the command was started" in outcomes["after"].error

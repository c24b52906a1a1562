"""A Ray cluster of two nodes on this machine, with CPUs and GPUs that Ray believes in."""

from __future__ import annotations

import logging
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import ray
from helpers.jobs import (
    PATIENCE,
    die_once,
    exit_with,
    fail,
    job,
    kill_itself,
    leave_environment,
    meet,
    nothing,
    rest,
    run,
    run_out_of_memory,
    wait_for,
)
from helpers.overhead import overhead
from ray.cluster_utils import Cluster

from bench.errors import UserError
from bench.execution.executors.on_ray import RayExecutor
from bench.execution.executors.ray_cluster import (
    Demand,
    Node,
    demand,
    slots,
    threads_of,
    too_large_text,
)
from bench.execution.scheduling.graph import Graph
from bench.execution.scheduling.scheduler import run_jobs

GIB = 2.0**30
ROOT = Path(__file__).parents[5]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Return a cluster of two nodes, to which this process is connected."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    logging.getLogger("ray").setLevel(logging.ERROR)
    node = {"num_cpus": 8, "num_gpus": 4, "object_store_memory": 10**8}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    cluster.add_node(**node)
    ray.init(address=cluster.address, log_to_driver=False, configure_logging=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    del os.environ["PYTHONPATH"]
    if before is not None:
        os.environ["PYTHONPATH"] = before


@pytest.mark.slow
def test_deaths_and_failures_are_their_own_jobs_only(cluster: Cluster, tmp_path: Path) -> None:
    started = time.monotonic()
    outcomes = run(
        RayExecutor("cpu"),
        job("exits", exit_with, 9),
        job("killed", kill_itself, 9),
        job("dies once", die_once, tmp_path),
        job("fails", fail, "first\nsecond"),
        job("large", run_out_of_memory),
        job("hangs", rest, 1000, limit=1.0),
        job("well", rest, 0.1),
        job("environment", leave_environment, tmp_path / "environment", isolated=True),
    )
    assert {name: outcome.status for name, outcome in outcomes.items()} == {
        "exits": "failed",
        "killed": "failed",
        "dies once": "ok",
        "fails": "failed",
        "large": "failed",
        "hangs": "failed",
        "well": "ok",
        "environment": "ok",
    }, outcomes
    assert outcomes["fails"].error == "ValueError: first second"
    assert "tried twice, the second time alone" in outcomes["killed"].error
    assert "MemoryError" in outcomes["large"].error and "tried twice" in outcomes["large"].error
    assert "ended after 1 seconds" in outcomes["hangs"].error
    # Nobody has waited until the one that hangs is done.
    assert time.monotonic() - started < 600
    environment = (tmp_path / "environment").read_text().splitlines()
    assert "CUDA_VISIBLE_DEVICES=" in environment
    assert f"PYTHONPATH={os.environ['PYTHONPATH']}" in environment


@pytest.mark.slow
def test_eight_gpus_are_filled_and_no_job_sees_another_gpu(
    cluster: Cluster, tmp_path: Path
) -> None:
    executor = RayExecutor("cuda", look_at_gpus=lambda nodes: {n.id: 16 * GIB for n in nodes})
    assert executor.describe() == "16 at a time on Ray, 2 nodes with 8 GPUs"
    # Six have a GPU to themselves, four have half of one.
    whole = [job(f"w{i}", meet, (tmp_path, f"w{i}", 10), memory=math.inf) for i in range(6)]
    half = [job(f"h{i}", meet, (tmp_path, f"h{i}", 10), memory=7 * GIB) for i in range(4)]
    outcomes = run(executor, *whole, *half)
    assert all(outcome.status == "ok" for outcome in outcomes.values()), outcomes
    seen = [file.read_text() for file in tmp_path.glob("met-*")]
    assert all(gpu in ("0", "1", "2", "3") for gpu in seen)
    # Each of the two nodes has four: ten jobs at once need all eight, and share two of them.
    assert len(seen) == 10


@pytest.mark.slow
def test_what_fits_on_no_node_is_said_at_once(cluster: Cluster) -> None:
    large = job("large", nothing, memory=1e15)
    with pytest.raises(UserError, match=r"^large: needs \d+\.\d GiB of memory; the largest node"):
        run(RayExecutor("cpu"), large)
    executor = RayExecutor("cuda", look_at_gpus=lambda nodes: {n.id: 16 * GIB for n in nodes})
    with pytest.raises(UserError, match=r"of GPU memory; the largest node has 16\.0 GiB"):
        run(executor, job("large", nothing, memory=17 * GIB))
    with pytest.raises(UserError, match=r"^wide: needs 9 CPUs; the largest node has 8"):
        run(RayExecutor("cpu", threads=9), job("wide", nothing))


@pytest.mark.slow
def test_what_was_made_where_nobody_sees_it_is_a_failure(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.execution.executors.order.DELAYS", (0.0,))
    outcomes = run(RayExecutor("cpu", is_made=lambda job: False), job("a", nothing))
    assert outcomes["a"].status == "failed" and "must share the cache" in outcomes["a"].error


@pytest.mark.slow
def test_nothing_runs_on_when_it_ends_early(cluster: Cluster, tmp_path: Path) -> None:
    # No other process of this machine has this name.
    name, place = f"waits-{os.getpid()}", (tmp_path, "a", 2)
    events = run_jobs(Graph([job(name, meet, place), job("b", nothing)]), RayExecutor("cpu"))
    # The first has started when the second has ended.
    assert [next(events) for _ in range(3)]
    wait_for(tmp_path / "met-a")
    assert _runs(name)
    events.close()
    deadline = time.monotonic() + PATIENCE
    while _runs(name):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _runs(name: str) -> bool:
    """Return whether a process of Ray does the job of this name."""
    lines = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
    return any(" ".join(line).startswith(f"ray::{name}") for line in lines)


@pytest.mark.slow
def test_small_jobs_take_little_more_than_their_time(cluster: Cluster) -> None:
    seconds, growth = overhead(RayExecutor("cpu", most=2), 300)
    assert seconds < 60
    assert growth < 50


NODE = Node("a", cpus=16, gpus=8, memory=100 * GIB, gpu_memory=16 * GIB)


@pytest.mark.parametrize(
    ("memory", "alone", "asked"),
    [
        # A small model's trainings share a GPU among eight.
        (0.0, False, Demand(2, 1 / 8)),
        (3 * GIB, False, Demand(2, 1 / 5)),
        (8 * GIB, False, Demand(2, 1 / 2)),
        # Two of these do not fit.
        (9 * GIB, False, Demand(2, 1.0)),
        (math.inf, False, Demand(2, 1.0)),
        (17 * GIB, False, Demand(2, math.inf)),
        (3 * GIB, True, Demand(16, 1.0)),
    ],
)
def test_what_a_job_asks_of_a_gpu_node(memory: float, alone: bool, asked: Demand) -> None:
    assert demand(job("a", nothing, memory=memory), NODE, "cuda", 2, alone=alone) == asked


def test_what_a_job_asks_of_a_node_without_gpus() -> None:
    small = job("a", nothing, memory=3 * GIB)
    assert demand(small, NODE, "cpu", 2, alone=False) == Demand(2, memory=3 * GIB)
    assert demand(small, NODE, "cpu", 2, alone=True) == Demand(16, memory=3 * GIB)
    # Where its memory is not known, only its threads are asked for.
    unknown = job("a", nothing, memory=math.inf)
    assert demand(unknown, NODE, "cpu", 2, alone=False) == Demand(2)


def test_a_gpu_of_unknown_size_is_for_one_job_of_known_size() -> None:
    node = Node("a", cpus=16, gpus=8, memory=100 * GIB, gpu_memory=0.0)
    assert demand(job("a", nothing, memory=GIB), node, "cuda", 1, alone=False).gpus == 1
    assert demand(job("a", nothing), node, "cuda", 1, alone=False).gpus == 1 / 8


def test_how_many_jobs_run_at_once() -> None:
    nodes = [NODE, Node("b", cpus=4, gpus=0, memory=GIB)]
    assert slots(nodes, "cpu", 1, small_models=True) == 20
    assert slots(nodes, "cuda", 1, small_models=True) == 16
    assert slots(nodes, "cuda", 1, small_models=False) == 8
    assert threads_of(nodes, "cuda", None) == 2
    assert threads_of(nodes, "cpu", None) == 1
    assert threads_of(nodes, "cpu", 2) == 4


def test_a_cluster_without_cpus_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    # As its head is until the first worker has come.
    assert threads_of([], "cpu", None) == 1
    assert too_large_text(job("a", nothing), [], "cpu", 1) == (
        "a: needs a CPU; no node of the Ray cluster has one"
    )


# Ray changes what SIGTERM does while it starts, and how it arrives while Ray waits.
AT_SIGTERM = """
import os, signal, sys, threading, time
import ray
from bench.execution.executors.ray_cluster import connect
from bench.interrupt import exit_status_of, raise_on_signals

def end():
    os.kill(os.getpid(), signal.SIGTERM)

def end_when_waiting():
    while not waits:
        time.sleep(0.001)
    time.sleep(0.5)
    end()

def change(number, handler, change=signal.signal):
    before = change(number, handler)
    if number == signal.SIGTERM and not changed:
        changed.append(handler)
        end()
    return before

raise_on_signals()
waits, changed = [], []
if sys.argv[1] == "start":
    signal.signal = change
else:
    threading.Thread(target=end_when_waiting, daemon=True).start()
try:
    connect("")
    waits.append(ray.remote(num_cpus=0)(lambda: time.sleep(600)).remote())
    ray.wait(waits, timeout=600)
except KeyboardInterrupt as interrupt:
    ray.shutdown()
    sys.exit(exit_status_of(interrupt))
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["start", "wait"])
def test_sigterm_ends_a_command_on_ray_as_any_other(moment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_SIGTERM, moment],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )
    assert done.returncode == 143 and "Traceback" not in done.stdout, done.stdout


def test_no_more_jobs_share_a_device_than_may_be_submitted() -> None:
    for most, gpus, at_once in ((None, 0.0, 8), (1, 0.0, 1), (None, 1 / 8, 8), (3, 1 / 8, 3)):
        executor = RayExecutor("cpu", threads=2, most=most, _nodes={"a": NODE})
        assert executor._at_once(gpus) == at_once

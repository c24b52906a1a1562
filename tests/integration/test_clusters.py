"""`prefrontier bench` on a cluster: the same numbers as with processes of this machine."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.command import TINY, command, finish, metrics
from helpers.object_store import BUCKET, object_store
from pandas.testing import assert_frame_equal
from ray.cluster_utils import Cluster

from bench.cache.remote import COPY

ROOT = Path(__file__).parents[2]
# On a cluster, each job's process imports all libraries anew.
ONE_SEED = TINY | {"seeds": 1}
# Importing them takes longer than the jobs where there is one CPU.
PATIENCE = 900.0


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run with processes of this machine."""
    folder = tmp_path_factory.mktemp("local")
    output = finish(command(folder, ONE_SEED, "--jobs", "2"))
    assert "report:" in output, output
    return folder


@contextmanager
def two_nodes(monkeypatch: pytest.MonkeyPatch, *variables: Mapping[str, str]) -> Iterator[Cluster]:
    """Start a cluster of two nodes with a CPU each, each with its environment variables."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    logging.getLogger("ray").setLevel(logging.ERROR)
    head, other = (
        {"num_cpus": 1, "object_store_memory": 10**8, "env_vars": dict(each)} for each in variables
    )
    cluster = Cluster(initialize_head=True, head_node_args=head | {"include_dashboard": False})
    cluster.add_node(**other)
    try:
        yield cluster
    finally:
        cluster.shutdown()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Return a cluster of two nodes with a CPU each."""
    with two_nodes(monkeypatch, {}, {}) as cluster:
        yield cluster


@pytest.mark.slow
def test_nodes_that_share_nothing_but_an_object_store_give_the_same_numbers(
    local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with object_store() as access:
        for name, value in access.items():
            monkeypatch.setenv(name, value)
        copies = [tmp_path / "copy-a", tmp_path / "copy-b"]
        with two_nodes(monkeypatch, *({COPY: str(copy)} for copy in copies)) as cluster:
            options = ("--executor", "ray", "--address", cluster.address)
            variables = {"PREFRONTIER_CACHE": f"s3://{BUCKET}/ray", COPY: str(tmp_path / "mine")}
            process = command(tmp_path, ONE_SEED, *options, variables=variables)
            output = finish(process, PATIENCE)
    assert process.returncode == 0, output
    assert "2 at a time on Ray, 2 nodes with 2 CPUs" in output, output
    assert_frame_equal(metrics(tmp_path), metrics(local))
    # Both have worked, each in its own copy; which of them trained what was up to Ray.
    assert all(list(copy.glob("*/*/artifact.json")) for copy in copies)


@pytest.mark.slow
def test_jobs_of_a_node_that_is_lost_run_again(
    local: Path, cluster: Cluster, tmp_path: Path
) -> None:
    options = ("--executor", "ray", "--address", cluster.address)
    process = command(tmp_path, ONE_SEED, *options)
    # Runs are being trained, on both nodes; or the first has just been.
    cache = tmp_path / "cache"
    while not [*cache.glob("work/policy-*"), *cache.glob("policy/[!.]*")]:
        assert process.poll() is None, finish(process)
        time.sleep(0.1)
    lost = next(node for node in cluster.list_all_nodes() if not node.head)
    cluster.remove_node(lost, allow_graceful=False)
    output = finish(process, PATIENCE)
    assert process.returncode == 0, output
    assert_frame_equal(metrics(tmp_path), metrics(local))


@pytest.mark.slow
def test_submitit_gives_the_same_numbers(
    local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    content = ONE_SEED | {"slurm": {"cluster": "local"}}
    output = finish(command(tmp_path, content, "--executor", "slurm", "--jobs", "2"), PATIENCE)
    assert "at most 2 at a time on this machine, by submitit" in output, output
    assert_frame_equal(metrics(tmp_path), metrics(local))
    # Neither orders nor logs are left of what went well.
    assert not list((tmp_path / "cache" / "slurm").iterdir())


@pytest.mark.slow
def test_a_cluster_of_this_machine_alone_is_started_and_ended(tmp_path: Path) -> None:
    process = command(tmp_path, ONE_SEED | {"methods": {"sft": {}}}, "--executor", "ray")
    output = finish(process)
    assert process.returncode == 0, output
    assert "on Ray, 1 node with" in output and "report:" in output, output


def test_a_cluster_that_is_not_there_is_said(tmp_path: Path) -> None:
    # Ray looks for clusters among the processes of this machine, where other tests may have some.
    (tmp_path / "sitecustomize.py").write_text(
        "import psutil\npsutil.process_iter = lambda *_: iter(())\n"
    )
    variables = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    for options, error in (
        (("--executor", "dask"), "--executor: unknown executor 'dask'; allowed: local, ray, slurm"),
        (("--address", "auto"), "--address: is of a Ray cluster; --executor ray must be set too"),
        (("--executor", "ray", "--address", "auto"), "--address: cannot connect to 'auto'"),
        (("--executor", "slurm"), "--executor slurm: there is no `srun` here"),
    ):
        process = command(tmp_path, TINY, *options, variables=variables)
        output = finish(process)
        assert process.returncode == 2, output
        assert error in output and "Traceback" not in output
        assert len(output.splitlines()) == 1, output

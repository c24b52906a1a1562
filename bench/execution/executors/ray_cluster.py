"""A Ray cluster: connecting to it, and what its nodes have."""

from __future__ import annotations

import logging
import math
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench.errors import UserError
from bench.execution.executors.devices import GPU_JOBS, Device
from bench.execution.scheduling.job import Job

GIB = 2**30
# Its object store holds the orders and outcomes of jobs, which are small (bytes).
OBJECT_STORE = 10**8
# Seconds that looking at the GPUs of a node may take.
PATIENCE = 120.0


@dataclass(frozen=True)
class Node:
    """What a machine of the cluster has for jobs.

    Attributes:
        id: Ray's name for it.
        cpus: Cores.
        gpus: GPUs.
        memory: Main memory (bytes).
        gpu_memory: All memory of its smallest GPU (bytes); 0 if it cannot tell, None if it has not
            been asked.
    """

    id: str
    cpus: float
    gpus: float
    memory: float
    gpu_memory: float | None = None


@dataclass(frozen=True)
class Demand:
    """What a job asks of a node.

    Attributes:
        cpus: Cores.
        gpus: GPUs, or a share of one.
        memory: Main memory (bytes).
    """

    cpus: float
    gpus: float = 0.0
    memory: float = 0.0

    def fits(self, node: Node) -> bool:
        """Return whether a node that does nothing else can take it."""
        return self.cpus <= node.cpus and self.gpus <= node.gpus and self.memory <= node.memory


def demand(job: Job, node: Node, device: str, threads: int, *, alone: bool) -> Demand:
    """Return what a job would ask of a node; infinitely many GPUs where no GPU is large enough.

    Args:
        job: The job.
        node: The node.
        device: "cpu" or "cuda".
        threads: Threads of the job.
        alone: Whether nothing else may run on the node.
    """
    cpus = max(node.cpus, 1.0) if alone else float(threads)
    if device == "cpu":
        return Demand(cpus, memory=0.0 if math.isinf(job.memory) else job.memory)
    share = _gpu_share(job, node)
    return Demand(cpus, gpus=max(1.0, share) if alone else share)


def _gpu_share(job: Job, node: Node) -> float:
    if job.memory > 0 and not node.gpu_memory:
        return 1.0
    share = Device("gpu", node.gpu_memory or math.inf).share(job.memory)
    # A GPU has room for a whole number of such jobs.
    return 1 / math.floor(1 / share + 1e-9) if share <= 1 else math.inf


def too_large_text(job: Job, nodes: Sequence[Node], device: str, threads: int) -> str:
    """Return what is said of a job that fits on no node."""
    if device == "cuda" and not any(node.gpus >= 1 for node in nodes):
        return f"{job.label}: needs a GPU; no node of the Ray cluster has one"
    if not nodes:
        return f"{job.label}: needs a CPU; no node of the Ray cluster has one"
    cpus = max(node.cpus for node in nodes)
    if threads > cpus:
        return f"{job.label}: needs {threads} CPUs; the largest node has {cpus:g}"
    if device == "cuda":
        kind, largest = "GPU memory", max(node.gpu_memory or 0.0 for node in nodes)
    else:
        kind, largest = "memory", max(node.memory for node in nodes)
    return (
        f"{job.label}: needs {job.memory / GIB:.1f} GiB of {kind}; the largest node has "
        f"{largest / GIB:.1f} GiB"
    )


def connect(address: str) -> None:
    """Connect to a Ray cluster, unless this process is connected already.

    Args:
        address: "auto" for the cluster that this machine is part of, HOST:PORT, or ray://HOST:PORT;
            "" starts one of this machine alone, which no other machine can reach.

    Raises:
        UserError: Ray is not installed, or there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not address:
        # Only then is Ray content with the loopback interface.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
    except ImportError:
        raise UserError(
            "--executor ray: Ray is not installed; `pip install 'prefrontier[ray]'` installs it"
        ) from None
    if ray.is_initialized():
        return
    logging.getLogger("ray").setLevel(logging.ERROR)
    own: dict[str, Any] = {
        "include_dashboard": False,
        "_node_ip_address": "127.0.0.1",
        "object_store_memory": OBJECT_STORE,
    }
    with _same_signals():
        try:
            ray.init(
                address or "local",
                configure_logging=False,
                log_to_driver=False,
                **({} if address else own),
            )
        except (ConnectionError, ValueError, ImportError, RuntimeError) as problem:
            reason = str(problem).strip().partition("\n")[0]
            raise UserError(f"--address: cannot connect to '{address}': {reason}") from None


def is_outside() -> bool:
    """Return whether this process is connected by ray://, and is not part of the cluster."""
    from ray.util.client import ray as client

    return bool(client.is_connected())


@contextmanager
def _same_signals() -> Iterator[None]:
    """Keep what this process does at SIGTERM, which Ray changes."""
    before, ended = signal.getsignal(signal.SIGTERM), False
    try:
        yield
    except SystemExit:
        # By this, Ray ends the process at SIGTERM.
        ended = True
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
        if ended:
            signal.raise_signal(signal.SIGTERM)


def alive_nodes() -> list[Node]:
    """Return the nodes of the cluster that can take jobs now."""
    import ray

    nodes = [
        Node(
            each["NodeID"],
            each["Resources"].get("CPU", 0.0),
            each["Resources"].get("GPU", 0.0),
            each["Resources"].get("memory", 0.0),
        )
        for each in ray.nodes()
        if each["Alive"]
    ]
    return [node for node in nodes if node.cpus]


def gpu_memories(nodes: Sequence[Node]) -> Mapping[str, float]:
    """Return all memory of the smallest GPU of each node (bytes), as far as the nodes can tell."""
    import ray

    look = ray.remote(num_cpus=0, num_gpus=0, max_calls=1)(_smallest_gpu)
    found = {node.id: look.options(label_selector=on(node)).remote() for node in nodes}
    ready, _ = ray.wait([*found.values()], num_returns=len(found), timeout=PATIENCE)
    return {name: ray.get(ref) for name, ref in found.items() if ref in ready}


def on(*nodes: Node) -> dict[str, str]:
    """Return the label selector of some nodes."""
    return {"ray.io/node-id": f"in({', '.join(node.id for node in nodes)})"}


def _smallest_gpu() -> float:
    """Return all memory of this machine's smallest GPU (bytes); 0 if it has none."""
    import torch

    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return float(min((gpu.total_memory for gpu in gpus), default=0))


def slots(nodes: Sequence[Node], device: str, threads: int, *, small_models: bool) -> int:
    """Return how many jobs run at once on some nodes, at least 1.

    Args:
        nodes: The nodes.
        device: "cpu" or "cuda".
        threads: Threads of each job.
        small_models: Whether no model keeps a GPU busy by itself.
    """
    per_gpu = GPU_JOBS if small_models else 1
    of_cpus = [int(node.cpus // threads) for node in nodes]
    of_gpus = [int(node.gpus) * per_gpu for node in nodes]
    if device == "cpu":
        return max(1, sum(of_cpus))
    return max(1, sum(map(min, of_cpus, of_gpus)))


def threads_of(nodes: Sequence[Node], device: str, jobs: int | None) -> int:
    """Return how many threads a job of a large model has.

    Args:
        nodes: The nodes.
        device: "cpu" or "cuda".
        jobs: How many jobs run at once; None for as many as there are cores or GPUs.
    """
    if device == "cuda":
        return max(1, min((int(n.cpus // n.gpus) for n in nodes if n.gpus >= 1), default=1))
    cpus = [int(node.cpus) for node in nodes]
    return max(1, min([*cpus, sum(cpus) // (jobs or sum(cpus) or 1)]))

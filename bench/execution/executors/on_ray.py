"""Jobs as tasks of a Ray cluster: on all its machines, or on this one alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from bench.errors import UserError
from bench.execution.executors.order import Order, confirmed, do_order, traveling_environment
from bench.execution.executors.ray_cluster import (
    Node,
    alive_nodes,
    demand,
    gpu_memories,
    is_outside,
    on,
    slots,
    too_large_text,
)
from bench.execution.scheduling.failures import KILLED, hung_text, one_line
from bench.execution.scheduling.job import Job, Outcome
from bench.execution.scheduling.sharing import sharing_variables

if TYPE_CHECKING:
    from ray import ObjectRefGenerator

T = TypeVar("T")

# How often a job is started again whose machine was lost.
MOST_LOSSES = 3
# Seconds between two looks at jobs that may have hung, and at the nodes of the cluster.
EVERY = 10.0


@dataclass
class Running:
    """A job that was submitted.

    Attributes:
        job: The job.
        alone: Whether nothing else may run on its node.
        nodes: The nodes that it may run on; empty for any.
        ends_by: When it has surely hung (seconds of the monotonic clock); inf until it has started.
        started: Whether its process said that it has started.
    """

    job: Job
    alone: bool
    nodes: frozenset[str] = frozenset()
    ends_by: float = float("inf")
    started: bool = False


@dataclass
class RayExecutor:
    """Tasks of the Ray cluster that this process is connected to.

    Attributes:
        device: "cpu" or "cuda": each job sees the GPU that it was given, and no other.
        threads: Threads of each job.
        small_models: Whether no model keeps a GPU busy by itself.
        most: How many jobs are submitted at once at most; None for twice as many as can run.
        disconnects: Whether to disconnect from the cluster in the end, which ends a local one.
        is_made: Whether what a job makes is in the cache, as this process sees it.
        look_at_gpus: Returns the memory of the nodes' GPUs (bytes).
    """

    device: str
    threads: int = 1
    small_models: bool = True
    most: int | None = None
    disconnects: bool = False
    is_made: Callable[[Job], bool] = lambda job: True
    look_at_gpus: Callable[[Sequence[Node]], Mapping[str, float]] = gpu_memories
    _running: dict[ObjectRefGenerator[Any], Running] = field(default_factory=dict)
    _losses: Counter[str] = field(default_factory=Counter)
    _nodes: dict[str, Node] = field(default_factory=dict)
    _alive: frozenset[str] = frozenset()
    _looked: float = float("-inf")

    @property
    def workers(self) -> int:
        """How many jobs run at once."""
        can = slots(self._now(), self.device, self.threads, small_models=self.small_models)
        return min(can, self.most or can)

    def describe(self) -> str:
        """Return a short description of how jobs are run."""
        nodes = self._now()
        has = _count(sum(int(node.gpus) for node in nodes), "GPU")
        if self.device == "cpu":
            has = _count(sum(int(node.cpus) for node in nodes), "CPU")
        return f"{self.workers} at a time on Ray, {_count(len(nodes), 'node')} with {has}"

    def has_room(self, job: Job, *, alone: bool) -> bool:
        """Return whether a job can be queued now.

        Raises:
            UserError: It needs more than any node has, or had.
        """
        self._look(job)
        nodes = [*self._nodes.values()]
        if not any(self._fits(job, node, alone=alone) for node in nodes):
            raise UserError(too_large_text(job, nodes, self.device, self.threads))
        return len(self._running) < (self.most or 2 * self.workers)

    def submit(self, job: Job, *, alone: bool) -> None:
        """Queue a job where it fits."""
        alive = self._now()
        nodes = [node for node in alive if self._fits(job, node, alone=alone)]
        if alone and nodes:
            nodes = [max(nodes, key=lambda node: node.cpus)]
        # Where none is left, it waits for one that is large enough.
        chosen = nodes if 0 < len(nodes) < len(alive) else []
        asks = [
            demand(job, node, self.device, self.threads, alone=alone)
            for node in nodes or self._nodes.values()
            if self._fits(job, node, alone=alone)
        ]
        gpus = max(ask.gpus for ask in asks)
        # A process gives a GPU's memory back only when it ends.
        single_use = job.isolated or self.device == "cuda"
        at_once = 1 if alone else self._at_once(gpus)
        streams = not is_outside()
        task = _task(single_use=single_use, streams=streams).options(
            name=job.label or job.name,
            num_returns="streaming" if streams else 1,
            num_cpus=max(ask.cpus for ask in asks),
            num_gpus=gpus,
            memory=int(max(ask.memory for ask in asks)),
            max_retries=0,
            runtime_env={"env_vars": self._environment() | sharing_variables(at_once)},
            label_selector=on(*chosen) if chosen else None,
        )
        order = Order.of(job, self.threads, gpus or 1.0)
        where = frozenset(node.id for node in chosen)
        self._running[task.remote(order)] = Running(job, alone, where)

    def as_completed(self) -> Iterator[tuple[Job, Outcome]]:
        """Yield the jobs that have ended, at least one. Waits until there is one."""
        import ray

        ended = False
        while not ended:
            ready, _ = ray.wait([*self._running], num_returns=1, timeout=EVERY, fetch_local=False)
            for stream in ready:
                outcome = self._outcome(stream)
                if outcome is not None:
                    ended = True
                    yield self._running.pop(stream).job, outcome
            for job in self._hung():
                ended = True
                yield job, Outcome("failed", hung_text(job.limit))
            self._send_elsewhere()

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Return what a function returns on a node that can run jobs."""
        import ray

        task = ray.remote(max_calls=1)(function).options(
            num_cpus=self.threads,
            num_gpus=int(self.device == "cuda"),
            runtime_env={"env_vars": self._environment()},
        )
        result: T = ray.get(task.remote(*arguments))
        return result

    def stop(self) -> None:
        """End all jobs."""
        import ray

        for stream in self._running:
            with suppress(ray.exceptions.RayError):
                ray.cancel(stream, force=True)
        self._running.clear()
        if self.disconnects:
            ray.shutdown()

    def _outcome(self, stream: ObjectRefGenerator[Any]) -> Outcome | None:
        """Return how a job ended; None if it has only started, or is started again."""
        import ray

        running = self._running[stream]
        try:
            # From outside of the cluster, only the end of a job can be seen.
            said = ray.get(stream if is_outside() else next(stream))
        except ray.exceptions.NodeDiedError as problem:
            self._losses[running.job.name] += 1
            if self._losses[running.job.name] > MOST_LOSSES:
                return Outcome("failed", one_line(str(problem)))
            del self._running[stream]
            self._looked = float("-inf")
            self.submit(running.job, alone=running.alone)
            return None
        except ray.exceptions.OutOfMemoryError:
            return Outcome("died", one_line("its node ran out of memory", KILLED))
        except ray.exceptions.WorkerCrashedError:
            return Outcome("died", "its process crashed or was ended on a node of the cluster")
        except (ray.exceptions.RayError, StopIteration) as problem:
            return Outcome("failed", one_line(f"{type(problem).__name__}: {problem}"))
        if isinstance(said, Outcome):
            return confirmed(running.job, said, self.is_made)
        running.started, running.ends_by = True, time.monotonic() + running.job.limit
        return None

    def _hung(self) -> Iterator[Job]:
        """End the jobs that have run for too long, and yield them."""
        import ray

        for stream, running in list(self._running.items()):
            if time.monotonic() > running.ends_by:
                ray.cancel(stream, force=True)
                yield self._running.pop(stream).job

    def _send_elsewhere(self) -> None:
        """Submit again what waits for nodes that are gone."""
        import ray

        alive = {node.id for node in self._now()}
        for stream, running in list(self._running.items()):
            if running.nodes and not running.started and alive.isdisjoint(running.nodes):
                ray.cancel(stream, force=True)
                del self._running[stream]
                self.submit(running.job, alone=running.alone)

    def _environment(self) -> dict[str, str]:
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if self.device == "cpu" else {}
        return traveling_environment() | hidden

    def _at_once(self, gpus: float) -> int:
        """Return how many jobs may be on the device of one that asks for a share of a GPU."""
        room = 1 / gpus if gpus else max(node.cpus for node in self._nodes.values()) / self.threads
        can = max(1, int(room + 1e-9))
        return min(can, self.most or can)

    def _fits(self, job: Job, node: Node, *, alone: bool) -> bool:
        return demand(job, node, self.device, self.threads, alone=alone).fits(node)

    def _now(self) -> list[Node]:
        """Return the nodes that are there."""
        self._look()
        return [self._nodes[name] for name in self._alive]

    def _look(self, job: Job | None = None) -> None:
        """Look at the cluster now and then; at its GPUs when a job's memory matters."""
        if time.monotonic() - self._looked > EVERY:
            alive = alive_nodes()
            self._alive = frozenset(node.id for node in alive)
            # Those that were lost may come back: what fits on them is not too large.
            self._nodes = {node.id: node for node in alive} | self._nodes
            self._looked = time.monotonic()
        if job is None or self.device == "cpu" or not 0 < job.memory < float("inf"):
            return
        unknown = [node for node in self._now() if node.gpus and node.gpu_memory is None]
        if unknown:
            for name, memory in self.look_at_gpus(unknown).items():
                self._nodes[name] = replace(self._nodes[name], gpu_memory=memory)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


@cache
def _task(*, single_use: bool, streams: bool) -> Any:
    """Return Ray's handle of what a job's process does.

    Args:
        single_use: Whether the process ends with the job.
        streams: Whether it says that it has started, too.
    """
    import ray

    return ray.remote(max_calls=1 if single_use else 0)(_perform if streams else do_order)


def _perform(order: Order) -> Iterator[object]:
    """Say that the job has started, do it, and say how it ended."""
    yield "started"
    yield do_order(order)

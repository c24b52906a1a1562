"""Worker processes on this machine; one that dies fails only its own job."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait

from bench.errors import UserError
from bench.execution.executors.devices import Device
from bench.execution.executors.worker import Worker
from bench.execution.scheduling.failures import death_text, hung_text
from bench.execution.scheduling.job import Job, Outcome
from bench.execution.scheduling.sharing import sharing_variables

GIB = 2**30
# The system waits for no more than some weeks at a time (seconds).
LONGEST_WAIT = 3600.0


@dataclass
class Running:
    """A job that runs.

    Attributes:
        job: The job.
        device: Where it runs.
        share: What share of a GPU it takes.
        alone: Whether nothing may run beside it.
        ends_by: When it has surely hung (seconds of the monotonic clock).
    """

    job: Job
    device: Device
    share: float
    alone: bool
    ends_by: float


@dataclass
class LocalExecutor:
    """Worker processes on this machine. On GPUs, each worker sees one of them.

    Attributes:
        workers: How many jobs run at once at most.
        threads: Threads of each process.
        devices: The CPU, or GPUs: on each run as many jobs as fit into its memory.
    """

    workers: int
    threads: int = 1
    devices: Sequence[Device] = (Device(),)
    _running: dict[Worker, Running] = field(default_factory=dict)
    _idle: list[tuple[Device, Worker]] = field(default_factory=list)

    def describe(self) -> str:
        """Return a short description of how jobs are run."""
        gpus = len(self.devices)
        return f"{self.workers} at a time" + (f" on {gpus} GPUs" if gpus > 1 else "")

    def has_room(self, job: Job, *, alone: bool) -> bool:
        """Return whether a job can be started now.

        Raises:
            UserError: It needs more memory than any GPU has.
        """
        if all(device.share(job.memory) > 1 for device in self.devices):
            largest = max(device.memory for device in self.devices)
            raise UserError(
                f"{job.label}: needs {job.memory / GIB:.1f} GiB of GPU memory; the largest GPU has "
                f"{largest / GIB:.1f} GiB"
            )
        if alone or any(other.alone for other in self._running.values()):
            return not self._running
        return len(self._running) < self.workers and self._device_for(job) is not None

    def submit(self, job: Job, *, alone: bool) -> None:
        """Start a job on the device with the most room."""
        if alone:
            self._end_idle()
        device = self._device_for(job)
        assert device is not None
        worker = self._worker(device, job, alone)
        share = device.share(job.memory)
        self._running[worker] = Running(job, device, share, alone, time.monotonic() + job.limit)
        worker.start(job)

    def as_completed(self) -> Iterator[tuple[Job, Outcome]]:
        """Yield the jobs that have ended, at least one. Waits until there is one."""
        ended = False
        while not ended:
            ready = self._wait()
            for worker, running in list(self._running.items()):
                if not ready.isdisjoint(worker.signs):
                    ended = True
                    yield running.job, self._ended(worker)
                elif time.monotonic() > running.ends_by:
                    ended = True
                    del self._running[worker]
                    worker.end()
                    yield running.job, Outcome("failed", hung_text(running.job.limit))

    def stop(self) -> None:
        """End all workers."""
        for worker in self._running:
            worker.end()
        self._running.clear()
        self._end_idle()

    def _wait(self) -> set[object]:
        """Wait until a worker has ended a job or has died, or a job may have hung; return signs."""
        first_limit = min(running.ends_by for running in self._running.values())
        patience = min(max(0.0, first_limit - time.monotonic()), LONGEST_WAIT)
        signs = [sign for worker in self._running for sign in worker.signs]
        return {*wait(signs, patience)}

    def _end_idle(self) -> None:
        for _, worker in self._idle:
            worker.end()
        self._idle.clear()

    def _ended(self, worker: Worker) -> Outcome:
        running = self._running.pop(worker)
        outcome = worker.outcome()
        if outcome is None:
            exit_code = worker.exit_code()
            worker.end()
            return Outcome("died", death_text(exit_code))
        # A process gives a GPU's memory back only when it ends.
        if running.job.isolated or running.device.gpu or outcome.status != "ok":
            worker.end()
        else:
            self._idle.append((running.device, worker))
        return outcome

    def _device_for(self, job: Job) -> Device | None:
        """Return the device with the most room; None where the job fits on none."""
        taken = dict.fromkeys(self.devices, 0.0)
        for running in self._running.values():
            taken[running.device] += running.share
        fitting = (each for each in taken if taken[each] + each.share(job.memory) <= 1 + 1e-9)
        return min(fitting, key=lambda device: taken[device], default=None)

    def _worker(self, device: Device, job: Job, alone: bool) -> Worker:
        """Return a worker on a device: an idle one, or a new one."""
        for place, (its_device, worker) in enumerate(self._idle):
            if its_device == device and not job.isolated and worker.is_idle():
                del self._idle[place]
                return worker
        at_once = 1 if alone else device.jobs_at_once(job.memory, self.workers)
        variables = sharing_variables(at_once)
        if device.gpu:
            variables["CUDA_VISIBLE_DEVICES"] = device.gpu
        return Worker(self.threads, variables)

"""All processes that `accelerate launch` started do each job together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import timedelta

from bench.errors import Missing
from bench.execution.executors.process import multiply_fast
from bench.execution.scheduling.job import Job, Outcome
from bench.execution.scheduling.perform import perform
from bench.execution.scheduling.scheduler import Stopped
from methods.core.models import distributed

# For so long, processes wait for each other: one of them may have to wait until another command has
# made something. Torch would end them after 10 minutes on GPUs, and after 30 on the CPU.
PATIENCE = timedelta(days=1)


def join(device: str) -> None:
    """Join the process group, if there are several processes.

    Args:
        device: "cpu", or any other for GPUs.
    """
    if distributed.is_distributed():
        from accelerate import PartialState

        # `initialize` takes the group as it finds it.
        PartialState(cpu=device == "cpu", timeout=PATIENCE)
    distributed.initialize(device)


class DistributedExecutor:
    """Runs jobs one at a time, each jointly in all processes that `accelerate launch` started."""

    workers = 1

    def __init__(self) -> None:
        multiply_fast()
        self._waiting: deque[Job] = deque()

    def describe(self) -> str:
        """Return a short description of how jobs are run."""
        return f"{distributed.world_size()} processes for each training"

    def has_room(self, job: Job, *, alone: bool) -> bool:
        """Return whether no job waits."""
        return not self._waiting

    def submit(self, job: Job, *, alone: bool) -> None:
        """Take a job. All processes must be given the same."""
        self._waiting.append(job)

    def as_completed(self) -> Iterator[tuple[Job, Outcome]]:
        """Do the job that waits, and yield it.

        Raises:
            Missing: An artifact that the job needs is gone.
            Stopped: The job failed, and the other processes may be at any point of it.
        """
        job = self._waiting.popleft()
        outcome = perform(job)
        if outcome.status == "missing":
            raise Missing(outcome.error)
        if outcome.status not in ("ok", "diverged"):
            raise Stopped(outcome.error)
        yield job, outcome

    def stop(self) -> None:
        """Forget the job that waits."""
        self._waiting.clear()

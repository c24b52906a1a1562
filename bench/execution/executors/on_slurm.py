"""Jobs in the queue of SLURM, by submitit. Each job is a process of its own."""

from __future__ import annotations

import logging
import math
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.config.slurm import Slurm
from bench.errors import UserError
from bench.execution.executors.order import Order, confirmed, do_order
from bench.execution.scheduling.failures import KILLED, hung_text, one_line
from bench.execution.scheduling.job import Job, Outcome
from bench.execution.scheduling.sharing import sharing_variables
from bench.interrupt import deferred

if TYPE_CHECKING:
    from submitit import AutoExecutor
    from submitit import Job as Submitted

GIB = 2**30
# Seconds between two looks at the queue.
EVERY = {"slurm": 5.0, "local": 0.1}
# How often a job is submitted again whose machine was lost.
MOST_LOSSES = 3
LOST = ("NODE_FAIL", "BOOT_FAIL", "REVOKED")
# Seconds that jobs which were canceled may take to end, also where many end at once.
PATIENCE = 60.0


@dataclass
class Resumable:
    """What a job's process does. If it is preempted, it is queued again, and the job resumes.

    Attributes:
        order: The job.
        at_once: How many jobs may run at once on its device.
    """

    order: Order
    at_once: int = 1
    _preempted: bool = False

    def __call__(self) -> Outcome:
        """Do the job; return how it ended.

        Raises:
            SystemExit: It has been queued again.
        """
        os.environ |= sharing_variables(self.at_once)
        outcome = do_order(self.order)
        if self._preempted:
            # submitit's signal handler raised the same, which is not how the job ended.
            from submitit.local.local import LOCAL_REQUEUE_RETURN_CODE

            raise SystemExit(LOCAL_REQUEUE_RETURN_CODE)
        return outcome

    def checkpoint(self) -> Any:
        """Return what is submitted instead: all that is to be kept is in the cache."""
        from submitit.helpers import DelayedSubmission

        self._preempted = True
        return DelayedSubmission(Resumable(self.order, self.at_once))


@dataclass
class Running:
    """A job that was submitted.

    Attributes:
        job: The job.
        alone: Whether nothing else may run on its node.
        ends_by: When it has surely hung (seconds of the monotonic clock); inf while it waits.
    """

    job: Job
    alone: bool
    ends_by: float = math.inf


@dataclass
class SlurmExecutor:
    """The queue of SLURM.

    Attributes:
        settings: What is asked of SLURM for each job.
        folder: Where submitit keeps orders, outcomes and logs: all machines must share it.
        device: "cpu" or "cuda".
        threads: Threads of each job.
        most: How many jobs are submitted at once at most; None for what the settings say.
        is_made: Whether what a job makes is in the cache, as this process sees it.
    """

    settings: Slurm
    folder: Path
    device: str = "cpu"
    threads: int = 1
    most: int | None = None
    is_made: Callable[[Job], bool] = lambda job: True
    _running: dict[Submitted[Outcome], Running] = field(default_factory=dict)
    _losses: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        # What cannot work is said before anything is done.
        self._queue()

    @property
    def workers(self) -> int:
        """How many jobs run at once at most: SLURM alone knows how many do."""
        return self.most or self.settings.queued

    def describe(self) -> str:
        """Return a short description of how jobs are run."""
        where = "SLURM" if self.settings.cluster == "slurm" else "this machine, by submitit"
        return f"at most {self.workers} at a time on {where}"

    def has_room(self, job: Job, *, alone: bool) -> bool:
        """Return whether the queue may take one more job.

        Raises:
            UserError: It needs more memory than the settings ask for.
        """
        limit, needed = self.settings.memory, self._estimate(job)
        if limit and needed > limit:
            raise UserError(
                f"slurm.memory: {limit:g} GiB are too little: {job.label} needs {needed:.1f} GiB"
            )
        return len(self._running) < self.workers

    def submit(self, job: Job, *, alone: bool) -> None:
        """Queue a job.

        Raises:
            UserError: SLURM refuses it.
        """
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        queue = self._queue(job, alone=alone)
        # Of the jobs that SLURM puts on one device, nothing is known here.
        at_once = self.workers if self.settings.cluster == "local" else 1
        resumable = Resumable(Order.of(job, self.threads), at_once)
        try:
            # What SLURM has accepted must be known when all is to be canceled.
            with deferred():
                submitted = queue.submit(resumable)
                self._running[submitted] = Running(job, alone)
        except (FailedJobError, FailedSubmissionError) as problem:
            raise UserError(one_line(f"slurm: {problem}")) from None

    def as_completed(self) -> Iterator[tuple[Job, Outcome]]:
        """Yield the jobs that have ended, at least one. Waits until there is one."""
        ended = False
        while not ended:
            for submitted, running in list(self._running.items()):
                outcome = self._outcome(submitted, running)
                if outcome is not None:
                    ended = True
                    yield running.job, outcome
            if not ended:
                time.sleep(EVERY[self.settings.cluster])

    def stop(self) -> None:
        """Take all jobs out of the queue, and end those that run."""
        for submitted in self._running:
            submitted.cancel(check=False)
        deadline = time.monotonic() + PATIENCE
        while self.settings.cluster == "local" and time.monotonic() < deadline:
            if all(submitted.done() for submitted in self._running):
                break
            time.sleep(EVERY["local"])
        self._running.clear()
        # Where submitit writes an order before it has a number.
        with suppress(OSError):
            (self.folder / "%j").rmdir()

    def _queue(self, job: Job | None = None, *, alone: bool = False) -> AutoExecutor:
        """Return submitit's executor with what a job asks for.

        Raises:
            UserError: submitit or SLURM is not installed, or SLURM knows no such parameter.
        """
        try:
            from submitit import AutoExecutor
        except ImportError:
            raise UserError(
                "--executor slurm: submitit is not installed; `pip install 'prefrontier[slurm]'` "
                "installs it"
            ) from None
        logging.getLogger("submitit").setLevel(logging.ERROR)
        settings = self.settings
        try:
            queue = AutoExecutor(self.folder / "%j", cluster=settings.cluster)
        except RuntimeError:
            raise UserError(
                "--executor slurm: there is no `srun` here: start the command where jobs can be "
                "submitted to SLURM"
            ) from None
        memory = settings.memory or (math.ceil(self._estimate(job)) if job else 0)
        others = {name: value for name, value in settings.additional_parameters.items() if value}
        queue.update_parameters(
            name=job.kind.replace(" ", "_") if job else None,
            timeout_min=settings.time,
            nodes=1,
            tasks_per_node=1,
            cpus_per_task=settings.cpus,
            gpus_per_node=settings.gpus,
            # 0 is all that the node has.
            mem_gb=0 if alone else memory or None,
            slurm_partition=settings.partition,
            slurm_exclusive=True if alone else None,
            slurm_additional_parameters=others or None,
        )
        return queue

    def _estimate(self, job: Job) -> float:
        """Return the main memory that a job takes, as estimated (GiB); 0 where it is not known."""
        return job.memory / GIB if self.device == "cpu" and not math.isinf(job.memory) else 0.0

    def _outcome(self, submitted: Submitted[Outcome], running: Running) -> Outcome | None:
        """Return how a job ended; None if it has not, or is started again."""
        job = running.job
        if submitted.done():
            del self._running[submitted]
            outcome = self._result(submitted, running)
            return confirmed(job, outcome, self.is_made) if outcome else None
        if submitted.state != "RUNNING":
            # Not yet, or no longer: one that was preempted waits in the queue again.
            running.ends_by = math.inf
        elif math.isinf(running.ends_by):
            running.ends_by = time.monotonic() + job.limit
        if time.monotonic() > running.ends_by:
            del self._running[submitted]
            submitted.cancel(check=False)
            return Outcome("failed", hung_text(job.limit))
        return None

    def _result(self, submitted: Submitted[Outcome], running: Running) -> Outcome | None:
        """Return what a job's process left; None if it left nothing, and is started again."""
        from submitit.core.utils import FailedJobError, UncompletedJobError

        log = submitted.paths.stderr
        try:
            outcome = submitted.result()
        except FailedJobError as problem:
            return Outcome("failed", one_line(_last_line(str(problem)), f"its log is {log}"))
        except UncompletedJobError:
            state = submitted.state.partition(" ")[0]
        else:
            # All that its logs could say is in the outcome.
            shutil.rmtree(submitted.paths.folder, ignore_errors=True)
            return outcome
        lost = state in LOST
        self._losses[running.job.name] += lost
        if lost and self._losses[running.job.name] <= MOST_LOSSES:
            self.submit(running.job, alone=running.alone)
            return None
        said = f"its SLURM job {submitted.job_id} ended as {state}; its log is {log}"
        if state == "OUT_OF_MEMORY":
            return Outcome("died", one_line(said, KILLED))
        if state in ("TIMEOUT", "DEADLINE"):
            return Outcome("failed", one_line(said, "give it more time (slurm.time)"))
        return Outcome("failed" if lost or state == "CANCELLED" else "died", one_line(said))


def _last_line(text: str) -> str:
    """Return the last line of a traceback that submitit quotes."""
    lines = text.split("----------------------")[1].strip().splitlines()
    return lines[-1]

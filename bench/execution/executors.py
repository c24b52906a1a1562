"""Executors run jobs in parallel processes; a process that dies fails only its own job."""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from bench.execution.failures import death_text
from methods.core.models import distributed

# Every step of a training takes and frees large blocks. glibc gives them back to the system each
# time, which must clear them again: a fifth of a small model's time. Workers keep them, except very
# large ones, such as those of a large vocabulary: between these, the heap would be left in pieces.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**26),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(2**26),
}
# Small trainings that share a GPU: each has a CUDA context of its own, of half a gigabyte.
GPU_JOBS = 8
# Importing torch takes longer than many a pause between two jobs.
IDLE_SECONDS = 300


class Outcome(NamedTuple):
    """How a job ended.

    Attributes:
        status: ok, failed or diverged.
        error: Why it is not ok, in one line.
        seconds: How long it took.
    """

    status: str
    error: str
    seconds: float


class Job(NamedTuple):
    """Work for a process of its own.

    Attributes:
        work: Called with the argument in a worker; returns the fields of an outcome.
        argument: The argument of `work`.
        after: Called in the main process with the outcome; returns the jobs that it unlocks.
    """

    work: Callable[[Any], tuple[str, str, float]]
    argument: Any
    after: Callable[[Outcome], Iterable[Job]]


@dataclass(frozen=True)
class LocalExecutor:
    """Worker processes on this machine.

    Attributes:
        jobs: Number of parallel worker processes.
        threads: Threads of each process.
    """

    jobs: int
    threads: int = 1

    def describe(self) -> str:
        """Return a short description of how jobs are run."""
        return f"{self.jobs} at a time"

    def run(self, jobs: Iterable[Job]) -> None:
        """Run all jobs in order, then those they unlock. A dead worker fails only its own job."""
        os.environ |= KEEP_MEMORY | dict(os.environ)
        waiting = deque(jobs)
        running: dict[Future[Outcome], Job] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self.jobs:
                    job = waiting.popleft()
                    running[self._start(job, self.jobs)] = job
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    job = running.pop(done)
                    waiting.extend(job.after(self._outcome(done, job)))
        except BaseException:
            _pool(self.jobs).shutdown(wait=False, kill_workers=True)
            raise

    def _start(self, job: Job, count: int) -> Future[Outcome]:
        started: Future[Outcome] = _pool(count).submit(_do, self.threads, job.work, job.argument)
        return started

    def _outcome(self, done: Future[Outcome], job: Job) -> Outcome:
        from joblib.externals.loky.process_executor import BrokenProcessPool

        if isinstance(done.exception(), BrokenProcessPool):
            # Which job killed its worker is not known: each that was running gets one of its own.
            done = self._start(job, 1)
        if isinstance(death := done.exception(), BrokenProcessPool):
            return Outcome("failed", death_text(death), 0.0)
        return done.result()


class DistributedExecutor:
    """Runs jobs one at a time, each jointly in all processes that `accelerate launch` started."""

    jobs = 1

    def describe(self) -> str:
        """Return a short description of how jobs are run."""
        return f"{distributed.world_size()} processes for each training"

    def run(self, jobs: Iterable[Job]) -> None:
        """Run all jobs in order, then those they unlock. All processes must get the same jobs.

        Raises:
            RuntimeError: A job failed, and the other processes may be at any point of it.
        """
        multiply_fast()
        waiting = deque(jobs)
        while waiting:
            job = waiting.popleft()
            outcome = Outcome(*job.work(job.argument))
            if outcome.status == "failed":
                raise RuntimeError(f"{outcome.error}; the same command resumes the run")
            waiting.extend(job.after(outcome))


def default_jobs(device: str, small_models: bool = True) -> int:
    """Return as many workers as the machine has cores for; on a GPU a few, or one for large models.

    Args:
        device: "cpu" or "cuda".
        small_models: Whether no model of the experiment keeps a GPU busy by itself.
    """
    if device != "cpu" and not small_models:
        return 1
    return core_count() if device == "cpu" else min(core_count(), GPU_JOBS)


def core_count() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pool(count: int) -> Any:
    """Return the pool of workers; it is reused, and replaced if a worker has died."""
    from joblib.externals.loky import get_reusable_executor

    return get_reusable_executor(max_workers=count, timeout=IDLE_SECONDS)


def _do(threads: int, work: Callable[[Any], tuple[str, str, float]], argument: Any) -> Outcome:
    silence_libraries()
    import torch

    torch.set_num_threads(threads)
    multiply_fast()
    outcome = Outcome(*work(argument))
    _freeze()
    return outcome


@cache
def _freeze() -> None:
    """Exclude the libraries' permanent objects from garbage collection, once in each process.

    Every trainer forces a collection when it ends, which can take longer than a small training.
    """
    gc.collect()
    gc.freeze()


def multiply_fast() -> None:
    """Let GPUs multiply float32 matrices in TF32: with 10 bits of precision, and far faster."""
    import torch

    # Not `set_float32_matmul_precision`, by which CPUs that can would do it too.
    torch.backends.cuda.matmul.allow_tf32 = True


def silence_libraries() -> None:
    """Turn off the libraries' progress bars, warnings and telemetry."""
    import warnings

    os.environ |= {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.simplefilter("ignore")
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()

"""Processes that work side by side; one that dies takes nothing else down."""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

# Every step of a training takes and frees large blocks. glibc gives them back to the system each
# time, which must clear them again: a fifth of a small model's time. Workers keep them.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(2**26),
}
# Importing torch takes longer than many a pause between two jobs.
IDLE_SECONDS = 300


class Outcome(NamedTuple):
    """How a job ended. status: ok, failed or diverged; error: why not ok; seconds: it took."""

    status: str
    error: str
    seconds: float


class Job(NamedTuple):
    """A function that answers an outcome, and what it is called with, in a process of its own.

    after: takes in the outcome, here, and answers with the jobs that can be done now.
    """

    work: Callable[[Any], tuple[str, str, float]]
    argument: Any
    after: Callable[[Outcome], Iterable[Job]]


@dataclass(frozen=True)
class Workers:
    """How many processes work side by side, and with how many threads each."""

    jobs: int
    threads: int = 1

    def run(self, jobs: Iterable[Job]) -> None:
        """Do all jobs, in order, then what follows from them. A death fails its own job only."""
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
            return Outcome("failed", f"worker died: {' '.join(str(death).split())[:200]}", 0.0)
        return done.result()


class Together:
    """Processes that `accelerate launch` started do all jobs together, one after the other."""

    jobs = 1

    def run(self, jobs: Iterable[Job]) -> None:
        """Do all jobs, in order, then what follows from them. All processes must be given them."""
        waiting = deque(jobs)
        while waiting:
            job = waiting.popleft()
            outcome = Outcome(*job.work(job.argument))
            if outcome.status == "failed":
                # The others may be anywhere in the same job: there is no going on together.
                raise RuntimeError(f"{outcome.error}; the same command goes on from here")
            waiting.extend(job.after(outcome))


def _pool(count: int) -> Any:
    """Return the processes: always the same, and new ones where one has died."""
    from joblib.externals.loky import get_reusable_executor

    return get_reusable_executor(max_workers=count, timeout=IDLE_SECONDS)


def _do(threads: int, work: Callable[[Any], tuple[str, str, float]], argument: Any) -> Outcome:
    quiet()
    import torch

    torch.set_num_threads(threads)
    outcome = Outcome(*work(argument))
    _freeze()
    return outcome


@cache
def _freeze() -> None:
    """Keep what the libraries hold for good out of garbage collection, once in each process.

    Every trainer forces a collection when it ends, which can take longer than a small training.
    """
    gc.collect()
    gc.freeze()


def quiet() -> None:
    """Turn off the libraries' progress bars, warnings and downloads."""
    import warnings

    os.environ |= {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.simplefilter("ignore")
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()

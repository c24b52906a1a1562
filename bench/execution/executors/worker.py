"""A worker: a process that does one job after another and ends with the process that started it."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any

from bench.cache.code import known_code, take_over
from bench.execution.executors.process import prepare_process, set_environment
from bench.execution.executors.sources import modules_in
from bench.execution.scheduling.failures import error_text
from bench.execution.scheduling.job import Job, Outcome
from bench.execution.scheduling.perform import perform

# Every step of a training takes and frees large blocks. glibc gives them back to the system each
# time, which must clear them again: a fifth of a small model's time. Workers keep them, except very
# large ones, such as those of a large vocabulary: between these, the heap would be left in pieces.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**26),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(2**26),
}
NO_PROCESS = "cannot start another process: too little memory is left, or too many processes run"
# Seconds that a process which was told to end may take, also where others keep it from running.
PATIENCE = 30.0


def _context() -> Any:
    """Return how processes are started: by fork from a server that has imported the libraries."""
    if sys.platform != "linux":
        # Other systems' libraries do not survive a fork.
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.execution.executors.preload"])
    # The server takes its memory settings from the environment when it is started.
    os.environ |= KEEP_MEMORY | dict(os.environ)
    return context


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Keep Ctrl-C, which reaches all processes of the terminal, from those that are started.

    They inherit that it is blocked. Here it is delivered afterwards.
    """
    # It would lift the block when it is first started.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Worker:
    """A worker as the process sees it that started it.

    Args:
        threads: Threads of its arithmetic.
        variables: Environment variables that only this worker has.

    Attributes:
        pipe: By which it is given jobs, and says how they ended.
    """

    def __init__(self, threads: int, variables: Mapping[str, str]) -> None:
        context = _context()
        self.pipe, others_end = context.Pipe()
        environment = {**os.environ, **variables}
        self._process: BaseProcess = context.Process(
            target=_serve, args=(others_end, threads, environment)
        )
        with _without_interrupts():
            try:
                self._process.start()
            except EOFError:
                # The server could not fork, and has ended.
                raise BlockingIOError(errno.EAGAIN, NO_PROCESS) from None
        others_end.close()

    @property
    def signs(self) -> tuple[Connection | int, ...]:
        """What is readable when the worker has ended a job or has died.

        Processes that it started may hold its pipe open after its death.
        """
        return self.pipe, self._process.sentinel

    def is_alive(self) -> bool:
        """Return whether the worker's process runs."""
        return self._process.exitcode is None

    def is_idle(self) -> bool:
        """Return whether the worker, which has no job, waits for one and has not died.

        The pipe is closed at once when it dies; that it died becomes known a little later.
        """
        return self.is_alive() and not self.pipe.poll()

    def start(self, job: Job) -> None:
        """Let the worker do a job."""
        pickled = pickle.dumps(job)
        code = known_code(*modules_in(pickled))
        # Of a worker that has died meanwhile, the pipe tells.
        with suppress(OSError):
            self.pipe.send_bytes(pickle.dumps((pickled, code)))

    def outcome(self) -> Outcome | None:
        """Return how the job ended; None if the worker has died. Waits until one is known."""
        try:
            if not self.pipe.poll() and not self.is_alive():
                return None
            outcome: Outcome = self.pipe.recv()
        except (EOFError, OSError):
            return None
        return outcome

    def end(self) -> int | None:
        """End the worker now with all processes that it started; return its exit code."""
        assert self._process.pid is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        # It may not yet have a group of its own.
        self._process.kill()
        self._process.join(PATIENCE)
        self.pipe.close()
        return self._process.exitcode

    def exit_code(self) -> int | None:
        """Return the exit code of a worker that has died."""
        self._process.join(PATIENCE)
        return self._process.exitcode


def _serve(pipe: Connection, threads: int, environment: Mapping[str, str]) -> None:
    # What a job starts, such as the workers of a data loader, ends with this process. And Ctrl-C
    # does not reach them: the process that started this one decides what follows.
    os.setpgid(0, 0)
    set_environment(environment)
    prepare_process(threads)
    arrived: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, arrived), daemon=True).start()
    while True:
        pipe.send(_outcome(arrived.get()))


def _receive(pipe: Connection, arrived: SimpleQueue[bytes]) -> None:
    try:
        while True:
            arrived.put(pipe.recv_bytes())
    except (EOFError, OSError):
        # The process that started this one is gone: nobody waits for the outcome.
        os.killpg(0, signal.SIGKILL)


def _outcome(message: bytes) -> Outcome:
    """Do a job with the code that it was planned with; with other code, keys would be wrong."""
    pickled, code = pickle.loads(message)
    if changed := take_over(code):
        again = "the same command resumes the run with the new code"
        return Outcome("failed", f"{changed} was changed since the command was started; {again}")
    return perform_pickled(pickled)


def perform_pickled(pickled: bytes) -> Outcome:
    """Do the work of a pickled job; return how it ended."""
    try:
        job: Job = pickle.loads(pickled)
    except (Exception, SystemExit) as problem:  # a plug-in that can no longer be imported
        return Outcome("failed", error_text(problem))
    return perform(job)

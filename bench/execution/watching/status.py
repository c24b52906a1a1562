"""How far the jobs are: what has ended, what runs and since when, and the time left."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

from bench.execution.estimates import Schedule
from bench.execution.run import Run
from bench.execution.scheduling.graph import Ended
from bench.execution.scheduling.job import Job
from bench.execution.scheduling.replay import replayed_seconds
from methods.core.training.points import last_step

# So many of the last failures are kept.
FAILURES = 3
# Showing how far the jobs are takes at most this share of the time. What takes less than `CHEAP`
# seconds of the processor is done whenever it is asked for.
SHARE, CHEAP = 0.02, 0.005


class Running(NamedTuple):
    """A job that runs.

    Attributes:
        label: Its name for people.
        seconds: How long it has been running.
        step: Examples or episodes that its training has reached; None where that is not known.
    """

    label: str
    seconds: float
    step: int | None


class Snapshot(NamedTuple):
    """How far the jobs are at a moment.

    Attributes:
        done: How many have ended.
        total: How many there are to do.
        running: Those that run, the longest first.
        failures: The last failures, as "label: error".
        left: The time left, in words.
    """

    done: int
    total: int
    running: tuple[Running, ...]
    failures: tuple[str, ...]
    left: str


class Status:
    """Keeps count of jobs. Several threads may ask it.

    Args:
        schedule: The jobs.
        workers: How many of them run at a time.

    Attributes:
        done: How many have ended.
        total: How many there are to do.
    """

    def __init__(self, schedule: Schedule, workers: int) -> None:
        self._schedule, self._workers = schedule, workers
        self._made = {*schedule.made}
        self.total, self.done = len(schedule.left()), 0
        self._running: dict[str, tuple[Job, float]] = {}
        self._failures: list[str] = []
        self._lock = threading.Lock()
        self._left, self._left_until = 0.0, 0.0

    def start(self, job: Job) -> None:
        """Take note that a job was started."""
        with self._lock:
            self._running[job.name] = (job, time.monotonic())

    def end(self, ended: Ended) -> None:
        """Take note of how a job ended."""
        job, outcome = ended
        with self._lock:
            self.done += 1
            # A job that is started again, to make what went missing, was counted before.
            self.total = max(self.total, self.done)
            self._running.pop(job.name, None)
            self._made |= {*job.makes}
            if outcome.status != "ok":
                text = f"{job.label}: {outcome.error or outcome.status}"
                self._failures = [*self._failures, text][-FAILURES:]

    def snapshot(self) -> Snapshot:
        """Return how far the jobs are now."""
        with self._lock:
            done, total, failures = self.done, self.total, tuple(self._failures)
            now, running = time.monotonic(), list(self._running.values())
            made = frozenset(self._made)
        if done >= total:
            return Snapshot(done, total, (), failures, "done")
        elapsed = {job.name: now - since for job, since in running}
        seconds = self._seconds_left(made, elapsed)
        shown = tuple(Running(job.label, now - since, step_of(job)) for job, since in running)
        return Snapshot(done, total, shown, failures, left_words(seconds))

    def _seconds_left(self, made: frozenset[str], elapsed: Mapping[str, float]) -> float:
        """Return the time left; where finding it takes long, what was found a while ago."""
        now = time.monotonic()
        if now < self._left_until:
            return self._left
        # Where other programs keep this one from running, it takes no more of the processor.
        started = time.thread_time()
        jobs = self._schedule.estimated_anew(made)
        self._left = replayed_seconds(jobs, made, self._workers, elapsed)
        took = time.thread_time() - started
        self._left_until = now + took / SHARE if took > CHEAP else 0.0
        return self._left


def step_of(job: Job) -> int | None:
    """Return the examples or episodes that a job's training has reached, if it trains a policy."""
    return last_step(job.argument.training_folder) if isinstance(job.argument, Run) else None


def left_words(seconds: float) -> str:
    """Return the time left in words."""
    if round(seconds / 60) == 0:
        return "less than a minute left"
    return f"about {duration(round(seconds / 60) * 60)} left"


def duration(seconds: float) -> str:
    """Return a duration in words: "45 s", "3 min", "1 h 5 min"."""
    if seconds < 60:
        return f"{int(seconds)} s"
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"

"""Which jobs are ready, as others end."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.execution.scheduling.job import Job, Outcome

# How often a job whose process died is started, the last time alone; and how often one whose input
# was missing.
STARTS, MISSES = 2, 3


class Ended(NamedTuple):
    """A job that will not be started again, and how it ended."""

    job: Job
    outcome: Outcome


class Graph:
    """Jobs, and what each of them still waits for. Those that are ready keep their order.

    Args:
        jobs: In the order in which they are started when all are ready. Each makes other artifacts.
        made: Artifacts that are there already; their jobs are not started unless one goes missing.
    """

    def __init__(self, jobs: Sequence[Job], made: frozenset[str] = frozenset()) -> None:
        self.jobs = list(jobs)
        self._number = {job.name: number for number, job in enumerate(self.jobs)}
        self._maker = {artifact: job for job in self.jobs for artifact in job.makes}
        self._waiting: dict[str, set[str]] = {}
        self._followers: defaultdict[str, list[Job]] = defaultdict(list)
        self._starts: Counter[str] = Counter()
        self._misses: Counter[str] = Counter()
        self._ready: list[tuple[int, Job]] = []
        self._running: set[str] = set()
        # The error of each job that ended without making its artifacts.
        self._failures: dict[str, str] = {}
        self._made = set(made)
        for job in self.jobs:
            if not made.issuperset(job.makes):
                self._wait(job)

    @property
    def unfinished(self) -> bool:
        """Whether any job has yet to end."""
        return bool(self._waiting or self._ready or self._running)

    @property
    def next(self) -> Job | None:
        """The job to be started next, if one is ready."""
        return self._ready[0][1] if self._ready else None

    def must_be_alone(self, job: Job) -> bool:
        """Return whether a job is started once more, because its process died."""
        return self._starts[job.name] > 0

    def start(self) -> Job:
        """Take the next job out of those that are ready."""
        _, job = heapq.heappop(self._ready)
        self._running.add(job.name)
        return job

    def end(self, job: Job, outcome: Outcome) -> Iterator[Ended]:
        """Take note of how a job ended; yield it and all that failed with it, if it is final."""
        self._running.discard(job.name)
        if outcome.status == "died":
            self._starts[job.name] += 1
            if self._starts[job.name] < STARTS:
                self._get_ready(job)
                return
            error = f"{outcome.error}; it was tried twice, the second time alone"
            outcome = outcome._replace(status="failed", error=error)
        if outcome.status == "missing":
            self._misses[job.name] += 1
            if outcome.error in job.makes and self._misses[job.name] < MISSES:
                # It made that itself, but something removed it before the rest was made.
                self._get_ready(job)
                return
            if outcome.error in self._maker and self._misses[job.name] < MISSES:
                self._make_again(outcome.error)
                self._wait(job, outcome.error)
                return
            error = f"{outcome.error} is missing from the cache"
            outcome = outcome._replace(status="failed", error=error)
        yield Ended(job, outcome)
        yield from self._release(job, outcome)

    def _release(self, job: Job, outcome: Outcome) -> Iterator[Ended]:
        """Let those go on that waited for a job, or fail with it; yield the latter."""
        if outcome.status == "ok":
            self._made |= {*job.makes}
        else:
            because = outcome.error if outcome.skipped else f"{job.label}: {outcome.error}"
            self._failures |= dict.fromkeys(job.makes, because)
        for artifact in job.makes:
            for follower in self._followers.pop(artifact, []):
                yield from self._continue(follower, artifact)

    def _continue(self, job: Job, artifact: str) -> Iterator[Ended]:
        """Let a job go on that waited for an artifact, or fail if it needs it and lacks it."""
        if job.name not in self._waiting:
            return
        if artifact in job.needs and artifact in self._failures:
            del self._waiting[job.name]
            failed = Outcome("failed", self._failures[artifact], skipped=True)
            yield Ended(job, failed)
            yield from self._release(job, failed)
            return
        self._waiting[job.name].discard(artifact)
        if not self._waiting[job.name]:
            del self._waiting[job.name]
            self._get_ready(job)

    def _wait(self, job: Job, *missed: str) -> None:
        """Let a job wait for what it needs, or missed, and is not there."""
        lacking = {
            artifact
            for artifact in (*job.needs, *job.after, *missed)
            if artifact in self._maker
            and artifact not in self._made
            and artifact not in self._failures
        }
        if not lacking:
            self._get_ready(job)
            return
        self._waiting[job.name] = lacking
        for artifact in lacking:
            self._followers[artifact].append(job)

    def _make_again(self, artifact: str) -> None:
        job = self._maker[artifact]
        self._made -= {*job.makes}
        pending = {waiting.name for _, waiting in self._ready} | self._running | {*self._waiting}
        if job.name not in pending:
            self._wait(job)

    def _get_ready(self, job: Job) -> None:
        heapq.heappush(self._ready, (self._number[job.name], job))

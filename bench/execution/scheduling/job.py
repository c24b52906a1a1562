"""A job, how it ends, and what executors must offer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from bench.cache.store import Store

# died: its process was ended or ran out of memory. missing: an artifact that it needs is gone.
# stopped: the cache cannot be written to, so that no other job could go on either.
Status = Literal["ok", "failed", "diverged", "died", "missing", "stopped"]


class Outcome(NamedTuple):
    """How a job ended.

    Attributes:
        status: See `Status`.
        error: Why it is not ok, in one line; with `missing`, which artifact it is.
        seconds: How long it took.
        skipped: Whether it was not started, because something that it needs failed.
    """

    status: Status
    error: str = ""
    seconds: float = 0.0
    skipped: bool = False


@dataclass(frozen=True)
class Job:
    """Work for a process of its own, and its place among others.

    Attributes:
        makes: The artifacts that it makes, as in "policy/3f2a". The first is the job's name.
        work: Called with `argument` in a worker. What it raises is the job's failure.
        argument: Only keys and settings, never weights: it travels to other machines.
        needs: Artifacts that must have been made before.
        after: Artifacts whose jobs must have ended before, well or not.
        kind: What it does, in a word or two: "sft", "reward_model", "ppo".
        label: Its name for people.
        estimate_key: Jobs with the same key take as long and make as much.
        seconds: How long it takes, as estimated.
        memory: Memory of its device that it takes, as estimated (bytes); 0 is little, inf all.
        limit: After how many seconds it has surely hung.
        isolated: Whether it runs code that could change its process, such as a plug-in's.
        store: Where it writes its artifacts.
    """

    makes: tuple[str, ...]
    work: Callable[[Any], object]
    argument: Any
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    kind: str = ""
    label: str = ""
    estimate_key: str = ""
    seconds: float = 0.0
    memory: float = 0.0
    limit: float = math.inf
    isolated: bool = False
    store: Store | None = None

    @property
    def name(self) -> str:
        """The first artifact that it makes."""
        return self.makes[0]


class Executor(Protocol):
    """Runs jobs somewhere. The scheduler submits what is ready while there is room."""

    @property
    def workers(self) -> int:
        """How many jobs run at once, as far as that is known."""

    def describe(self) -> str:
        """Return a short description of how jobs are run."""

    def has_room(self, job: Job, *, alone: bool) -> bool:
        """Return whether a job can be submitted now.

        Raises:
            UserError: It never can: it needs more than there is.
        """

    def submit(self, job: Job, *, alone: bool) -> None:
        """Start a job, or queue it.

        Args:
            job: The job.
            alone: Whether nothing else may run beside it.
        """

    def as_completed(self) -> Iterator[tuple[Job, Outcome]]:
        """Yield the jobs that have ended, at least one. Waits until there is one."""

    def stop(self) -> None:
        """End everything that runs, and leave nothing behind."""

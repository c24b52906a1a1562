"""How long jobs took and how much they made, kept in the store to estimate others by."""

from __future__ import annotations

import json
import logging
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

from bench.cache.artifact import size_of
from bench.cache.files import write_json
from bench.cache.locks import locked
from bench.cache.store import LOCKS, Store
from bench.errors import Unusable
from bench.execution.scheduling.job import Job

FILE = "durations.json"
# So many of the last durations of equal jobs count.
KEPT = 8
# Seconds between two saves.
EVERY = 10.0
# First guesses of how long a kind of job takes, with small models (s).
GUESSES = {
    "base_model stage": 40.0,
    "sft stage": 6.0,
    "feedback stage": 4.0,
    "reward_model stage": 15.0,
    "reference samples": 15.0,
    "optimal frontier": 30.0,
    "sft": 4.0,
    "dpo": 12.0,
    "best_of_n": 12.0,
}
GUESS = 25.0
# What a command does besides its jobs: it loads libraries, starts workers and makes the report.
OVERHEAD, OVERHEAD_GUESS = "start and report", 20.0

logger = logging.getLogger("prefrontier")


class Estimate(NamedTuple):
    """What a job takes, as estimated.

    Attributes:
        seconds: Its time.
        size: What its artifacts take on disk (bytes); None where no equal job has been done.
        known: Whether equal jobs have been done on such a machine.
    """

    seconds: float
    size: int | None
    known: bool


@dataclass
class Durations:
    """Durations of past jobs, by what jobs have in common.

    Attributes:
        store: Where they are kept.
        machine: What runs the jobs: durations elsewhere say less.
        entries: For each machine and estimate key the kind of job, the last durations, and a size.
    """

    store: Store
    machine: str
    entries: dict[str, dict[str, Any]]
    _new: dict[str, dict[str, Any]] = field(default_factory=dict)
    _alike: dict[str, float] = field(default_factory=dict)
    _saved: float = 0.0

    @classmethod
    def load(cls, store: Store, machine: str) -> Durations:
        """Return the durations that are kept in a store."""
        return cls(store, machine, _read(store.root / FILE))

    def estimate(self, job: Job) -> Estimate:
        """Return what a job takes.

        It takes as long as equal jobs here, else as equal ones with another number at a time or on
        another machine with such a device, else as those of its kind, else as is guessed.
        """
        if entry := self.entries.get(self._key(job)):
            return Estimate(median(entry["seconds"]), entry["size"], True)
        alike = self._alike = self._alike or self._by_likeness()
        for likeness in (job.estimate_key, job.kind):
            if likeness in alike:
                return Estimate(alike[likeness], None, False)
        return Estimate(GUESSES.get(job.kind, GUESS), None, False)

    def add(self, job: Job, seconds: float) -> None:
        """Take note of a job that went well, and save all now and then."""
        size, making = _made_by(job)
        # A job that found its artifacts made tells nothing of how long that takes.
        self._add(self._key(job), job.kind, max(seconds, making), size)
        if time.monotonic() - self._saved > EVERY:
            self.save()

    def overhead(self) -> float:
        """Return what a command takes besides its jobs (seconds)."""
        entry = self.entries.get(f"{self.machine} | {OVERHEAD}")
        return median(entry["seconds"]) if entry else OVERHEAD_GUESS

    def add_overhead(self, seconds: float) -> None:
        """Take note of what a command took besides its jobs, and save all."""
        self._add(f"{self.machine} | {OVERHEAD}", OVERHEAD, seconds, None)
        self.save()

    def save(self) -> None:
        """Write what is new to the store, beside what others have written."""
        if not self._new:
            return
        file = self.store.root / FILE
        try:
            with locked(self.store.root / LOCKS / FILE):
                write_json(file, _read(file) | self._new)
        except OSError as error:  # estimates are worth no failure
            logger.warning("%s: cannot be written: %s", file, error.strerror)
        self._new, self._saved = {}, time.monotonic()

    def _add(self, key: str, kind: str, seconds: float, size: int | None) -> None:
        before = self.entries.get(key, {}).get("seconds", [])
        kept = [*before, round(seconds, 3)][-KEPT:]
        self.entries[key] = self._new[key] = {"kind": kind, "seconds": kept, "size": size}
        self._alike = {}

    def _by_likeness(self) -> dict[str, float]:
        """Return mean seconds by estimate key, on such devices, and by kind, on this machine."""
        device = self.machine.partition(",")[0]
        seconds: dict[str, list[float]] = defaultdict(list)
        for key, entry in list(self.entries.items()):
            machine, _, equal = key.partition(" | ")
            if machine.partition(",")[0] == device:
                seconds[equal].append(median(entry["seconds"]))
            if machine == self.machine:
                seconds[entry["kind"]].append(median(entry["seconds"]))
        return {likeness: mean(each) for likeness, each in seconds.items()}

    def _key(self, job: Job) -> str:
        return f"{self.machine} | {job.estimate_key}"


def _read(file: Path) -> dict[str, dict[str, Any]]:
    """Return the entries of a file that are as they should be."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    entries = content if isinstance(content, dict) else {}
    return {key: entry for key, entry in entries.items() if _is_entry(entry)}


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("kind"), str):
        return False
    seconds = entry.get("seconds")
    return (
        isinstance(seconds, list)
        and len(seconds) > 0
        and all(isinstance(one, int | float) and 0 <= one < 1e9 for one in seconds)
        and isinstance(entry.get("size", ""), int | None)
    )


def _made_by(job: Job) -> tuple[int | None, float]:
    """Return the size of what a job made (bytes), and how long the making of it took (seconds)."""
    if job.store is None:
        return None, 0.0
    size, seconds = 0, 0.0
    for artifact in job.makes:
        try:
            manifest = job.store.manifest(*artifact.split("/"))
            size += size_of(manifest)
            seconds += manifest["seconds"]
        except (OSError, ValueError, KeyError, Unusable):
            # A pool has no artifact of this name, and a policy may have been dropped.
            continue
    return size, seconds

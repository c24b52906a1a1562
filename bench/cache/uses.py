"""Which experiments use which artifacts: a record for each in the store, by which it is pruned."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from bench.cache.keys import short_hash
from bench.cache.locks import locked
from bench.cache.store import LOCKS, RECORDS, USES, Store
from bench.errors import Unusable

logger = logging.getLogger("prefrontier")

# Names of the records of what this process runs.
_own: set[str] = set()


class Use(NamedTuple):
    """An experiment that was run.

    Attributes:
        name: Of its record.
        experiment: The experiment's name.
        command: The command line.
        time: When it was last run (seconds since the epoch).
        artifacts: Their names, as in "policy/3f2a".
    """

    name: str
    experiment: str
    command: str
    time: float
    artifacts: frozenset[str]


@contextmanager
def using(
    store: Store, experiment: str, command: str, artifacts: Iterable[str]
) -> Iterator[Callable[[Iterable[str]], None]]:
    """Record that an experiment uses artifacts, and that it runs until this ends.

    Args:
        store: Where the artifacts are.
        experiment: The experiment's name.
        command: The command line.
        artifacts: What it makes or takes, as far as that is known.

    Yields:
        What adds more of them to the record.
    """
    known = {*artifacts}
    plain = re.sub(r"[^\w.]+", "_", experiment)
    name = f"{plain}-{short_hash(*sorted(known))}"

    def record(more: Iterable[str] = ()) -> None:
        known.update(more)
        content = {
            "experiment": experiment,
            "command": command,
            "time": time.time(),
            "artifacts": sorted(known),
        }
        try:
            store.write_record(f"{USES}/{name}.json", json.dumps(content, indent=1).encode())
        except OSError as error:
            raise Unusable(f"{store.address}: cannot be written to: {error.strerror}") from None

    with store.in_use(name):
        _own.add(name)
        try:
            record()
            yield record
        finally:
            _own.discard(name)


def uses_of(store: Store, only: Container[str] | None = None) -> list[Use]:
    """Return the records of a store, the last first; what is no record is named and left out.

    Args:
        store: Where they are.
        only: The names of those that are wanted; all by default.
    """
    uses = []
    for file, text in store.records(USES).items():
        name = file.removeprefix(f"{USES}/").removesuffix(".json")
        if only is not None and name not in only:
            continue
        try:
            content = json.loads(text)
            uses.append(
                Use(
                    name,
                    str(content["experiment"]),
                    str(content["command"]),
                    float(content["time"]),
                    frozenset(map(str, content["artifacts"])),
                )
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            logger.warning("%s/%s: is damaged, and does not count", store.address, file)
    return sorted(uses, key=lambda use: -use.time)


def used_by_others(store: Store) -> frozenset[str]:
    """Return the artifacts that other experiments refer to which run now, by name.

    Another command with the record of this one does not count: it does the same.
    """
    running = store.users() - _own
    uses = uses_of(store, running) if running else []
    return frozenset[str]().union(*(use.artifacts for use in uses))


def forget(store: Store, use: Use) -> bool:
    """Remove a record, unless a command with it runs by now; return whether that was so."""
    # A command says that it runs before it writes the record, which waits for this lock.
    with locked(store.root / LOCKS / RECORDS):
        if use.name in store.users():
            return False
        store.remove_record(f"{USES}/{use.name}.json")
        return True

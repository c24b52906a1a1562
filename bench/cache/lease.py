"""Leases: locks between machines that share nothing but an object store.

A lease is an object with its holder's name, which the holder writes anew again and again. One that
has not changed for a while belongs to a holder that died, and is taken over. Only the time of the
machine that waits counts, so clocks need not agree; and only while it looks: where it stood still,
the holder may have stood still with it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

from bench.cache.objects import Objects
from bench.errors import Unusable

# Seconds between two renewals, after which an unchanged lease has no holder, and between two looks.
RENEW, STALE, LOOK = 10.0, 60.0, 1.0


@contextmanager
def leased(
    objects: Objects, name: str, holder: str, done: Callable[[], bool] = lambda: False
) -> Iterator[bool]:
    """Hold a lease; wait for it while another holds it.

    Args:
        objects: Where it is.
        name: Of the lease.
        holder: Who holds it. A lease of the same holder is taken over at once: holders must see to
            it themselves that they ask for it once at a time.
        done: Whether there is nothing left to wait for.

    Yields:
        Whether the lease is held: not if `done` came first.
    """
    seen, unchanged, looked = b"", 0.0, time.monotonic()
    while not objects.create(name, content := _content(holder)):
        found = objects.read(name)
        if found is None:
            continue
        now = time.monotonic()
        # From one look to the next, a holder that lives could have missed one renewal, not all.
        unchanged = unchanged + min(now - looked, RENEW) if found == seen else 0.0
        seen, looked = found, now
        if _holder(found) == holder or unchanged >= STALE:
            objects.write(name, content)
            if objects.read(name) == content:
                break
            continue
        if done():
            yield False
            return
        time.sleep(LOOK)
    with _renewed(objects, name, holder):
        yield True


@contextmanager
def leased_if_free(objects: Objects, name: str, holder: str) -> Iterator[bool]:
    """Hold a lease unless another holds it; yield whether that is so.

    A lease that its holder has already stays as it is.
    """
    if _holder(objects.read(name) or b"") == holder:
        yield True
        return
    with leased(objects, name, holder, done=lambda: True) as held:
        # Whoever asks for it in earnest takes over a dead one after a while; here nobody waits.
        yield held or not is_leased(objects, name, holder)


def is_leased(objects: Objects, name: str, holder: str) -> bool:
    """Return whether another holds a lease now: by its own clock, as nobody waits here."""
    found = objects.read(name)
    if found is None or _holder(found) == holder:
        return False
    return time.time() - _time(found) < 10 * STALE


@contextmanager
def _renewed(objects: Objects, name: str, holder: str) -> Iterator[None]:
    """Renew a lease in a thread, and give it up in the end."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(RENEW):
            # Where the store is gone, what the lease is for will fail. A full disk of this machine,
            # by way of which some libraries write, may have room again the next time.
            with suppress(Unusable, OSError):
                found = objects.read(name)
                if found is not None and _holder(found) not in ("", holder):
                    return
                if ended.is_set():
                    return
                if found is None:
                    # Taken for a dead one and cleared: another may hold it at this moment.
                    objects.create(name, _content(holder))
                else:
                    objects.write(name, _content(holder))

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with suppress(Unusable):
            if _holder(objects.read(name) or b"") == holder:
                objects.remove(name)


def _content(holder: str) -> bytes:
    return json.dumps({"holder": holder, "time": time.time(), "id": uuid4().hex}).encode()


def _holder(content: bytes) -> str:
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(content)["holder"])
    return ""


def _time(content: bytes) -> float:
    with suppress(ValueError, KeyError, TypeError):
        return float(json.loads(content)["time"])
    return 0.0

"""Ending a command by a signal: cleanly, once, and with the exit status that shells expect."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """The user or the system wants the process to end.

    Attributes:
        exit_status: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_status = 128 + number


@dataclass
class _Arrived:
    """The signals that have come to this process.

    Attributes:
        interrupting: The one that has raised `Interrupted`; 0 if none has.
        waiting: The one that raises it at the end of `deferred`; 0 if none does.
        deferred: Whether they wait.
    """

    interrupting: int = 0
    waiting: int = 0
    deferred: bool = False


_arrived = _Arrived()


def exit_status_of(interrupt: KeyboardInterrupt) -> int:
    """Return the exit status of a process that ends because of an interrupt."""
    if isinstance(interrupt, Interrupted):
        return interrupt.exit_status
    # While Ray waits, it takes what a signal raises, and raises a plain KeyboardInterrupt.
    return 128 + (_arrived.interrupting or signal.SIGINT)


def raise_on_signals() -> None:
    """Let the first SIGINT, SIGTERM or SIGHUP raise `Interrupted`; later ones are ignored."""
    _arrived.interrupting = 0
    for number in SIGNALS:
        # As under nohup.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


@contextmanager
def deferred() -> Iterator[None]:
    """Let a signal that would raise `Interrupted` within the block raise it after the block."""
    _arrived.deferred = True
    try:
        yield
    finally:
        _arrived.deferred = False
        number, _arrived.waiting = _arrived.waiting, 0
        if number:
            _interrupt(number, None)


def ignore_signals() -> None:
    """Let nothing disturb what is left to do, which takes a few seconds at most."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _arrived.deferred:
        _arrived.waiting = number
        return
    _arrived.interrupting = number
    for each in SIGNALS:
        signal.signal(each, _do_nothing)
    # Another signal may have come together with this one. Python handles it here: once it is to be
    # ignored, Python would complain of it with a traceback.
    signal.raise_signal(number)
    # Programs that are started from now on inherit this, such as the one that cancels jobs.
    ignore_signals()
    raise Interrupted(number)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    pass

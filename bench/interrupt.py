"""Ending a command by a signal: cleanly, once, and with the exit status that shells expect."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Seconds after which an interrupt that was lost is raised again.
SOON = 0.01


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
        others: What is done with other exceptions that Python cannot raise.
    """

    interrupting: int = 0
    waiting: int = 0
    deferred: bool = False
    others: Callable[[sys.UnraisableHookArgs], object] = sys.__unraisablehook__


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
    if sys.unraisablehook is not _raise_again:
        _arrived.others = sys.unraisablehook
        sys.unraisablehook = _raise_again
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


def is_interrupted() -> bool:
    """Return whether a signal has come that will raise `Interrupted` at the end of `deferred`."""
    return bool(_arrived.waiting)


def ignore_signals() -> None:
    """Let nothing disturb what is left to do, which takes a few seconds at most."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if signal.getsignal(signal.SIGALRM) is _interrupt_again:
        signal.signal(signal.SIGALRM, _do_nothing)


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


def _raise_again(lost: sys.UnraisableHookArgs) -> None:
    """Raise an interrupt a moment later that came within a destructor or a weak reference's call.

    Python only prints what is raised there: the program would go on, and ignore all later signals.
    """
    if not isinstance(lost.exc_value, Interrupted):
        _arrived.others(lost)
        return
    signal.signal(signal.SIGALRM, _interrupt_again)
    signal.setitimer(signal.ITIMER_REAL, SOON)


def _interrupt_again(number: int, frame: FrameType | None) -> None:
    raise Interrupted(_arrived.interrupting)

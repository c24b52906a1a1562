"""Signals end a process once and cleanly: each of these is a process that gets some."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[3]
START = """
import os, signal, subprocess, sys
from bench.interrupt import Interrupted, deferred, exit_status_of, raise_on_signals

def send(*numbers):
    for number in numbers:
        os.kill(os.getpid(), number)

raise_on_signals()
"""


def run(code: str) -> tuple[int, str]:
    """Return the exit status of a process, and all that it printed."""
    done = subprocess.run(
        [sys.executable, "-c", START + dedent(code)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout


def test_signals_that_come_together_interrupt_once_and_quietly() -> None:
    status, output = run("""
        both = {signal.SIGINT, signal.SIGTERM}
        try:
            # Both are delivered within one call.
            signal.pthread_sigmask(signal.SIG_BLOCK, both)
            send(*both)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, both)
        except KeyboardInterrupt as interrupt:
            send(signal.SIGTERM, signal.SIGINT)
            # What is started to clean up, the user's next Ctrl-C does not end.
            subprocess.run(["sh", "-c", "kill -INT $$; echo cleaned up"])
            sys.exit(exit_status_of(interrupt))
        """)
    assert (status, output) == (130, "cleaned up\n")


def test_a_library_that_raises_a_plain_interrupt_does_not_hide_the_signal() -> None:
    status, output = run("""
        try:
            send(signal.SIGTERM)
        except Interrupted:
            print(exit_status_of(KeyboardInterrupt()))
        raise_on_signals()
        print(exit_status_of(KeyboardInterrupt()))
        """)
    assert (status, output) == (0, "143\n130\n")


def test_a_deferred_signal_interrupts_when_the_block_has_ended() -> None:
    status, output = run("""
        with deferred():
            pass
        try:
            with deferred():
                send(signal.SIGTERM)
                print("all of it is done")
            print("not this")
        except Interrupted as interrupt:
            sys.exit(exit_status_of(interrupt))
        """)
    assert (status, output) == (143, "all of it is done\n")


def test_a_signal_within_a_destructor_interrupts_what_follows() -> None:
    status, output = run("""
        import threading

        class Last:
            def __del__(self):
                send(signal.SIGTERM)

        class Other:
            def __del__(self):
                raise ValueError("not lost")

        try:
            Other()
            Last()
            threading.Event().wait()
        except KeyboardInterrupt as interrupt:
            sys.exit(exit_status_of(interrupt))
        """)
    assert status == 143
    assert "ValueError: not lost" in output and "Interrupted" not in output

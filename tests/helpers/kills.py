"""Ending `prefrontier bench` at any moment, and looking at what is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
from helpers.command import TINY, command, finish

# An environment variable that all processes of a command inherit.
MARK = "PREFRONTIER_TEST_MARK"
# One seed, every kind of job, and a method that saves its progress.
SMALL = TINY | {
    "seeds": 1,
    "methods": {
        "sft": {},
        "dpo": {"grid": {"beta": [0.5]}, "examples": 256},
        "ppo": {"grid": {"kl_coef": [0.5]}, "episodes": 1024, "batch_size": 64, "save_every": 2},
    },
}


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start the command on the small experiment; its processes can be told from all others."""
    os.environ[MARK] = str(folder)
    try:
        return command(folder, SMALL, *options)
    finally:
        del os.environ[MARK]


def processes(folder: Path) -> list[psutil.Process]:
    """Return the processes that a command in this folder has started and left, its own included."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(folder) and process.status() != "zombie":
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def all_gone(folder: Path, seconds: float = 120.0) -> bool:
    """Return whether no process is left, at the latest after some time.

    The server of the workers sees only when it has imported its libraries that it is to end.
    """
    deadline = time.monotonic() + seconds
    while processes(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _worker(folder: Path, main: subprocess.Popen[str]) -> psutil.Process | None:
    """Return a worker, chosen at random: a process that the server of the main process forked."""
    workers = [p for p in processes(folder) if p.pid != main.pid and p.ppid() != main.pid]
    return random.choice(workers) if workers else None


def end_main(number: signal.Signals) -> Callable[[Path, subprocess.Popen[str]], None]:
    """Return what sends a signal to the main process."""
    return lambda _, main: main.send_signal(number)


def end_group(number: signal.Signals) -> Callable[[Path, subprocess.Popen[str]], None]:
    """Return what sends a signal to all processes of the command, as a terminal does."""
    return lambda _, main: os.killpg(main.pid, number)


def kill_worker(folder: Path, main: subprocess.Popen[str]) -> None:
    """Kill one worker, if there is one."""
    # It may end by itself at this moment.
    with suppress(psutil.NoSuchProcess):
        if (worker := _worker(folder, main)) is not None:
            worker.kill()


def interrupt_often(_: Path, main: subprocess.Popen[str]) -> None:
    """Press Ctrl-C again and again."""
    for _ in range(8):
        if main.poll() is not None:
            return
        os.killpg(main.pid, signal.SIGINT)
        time.sleep(0.05)


KILLS: dict[str, tuple[Callable[[Path, subprocess.Popen[str]], None], tuple[int, ...]]] = {
    # How it is ended, and the exit statuses that it may have.
    "SIGKILL to all": (end_group(signal.SIGKILL), (-9,)),
    "SIGKILL to the main process": (end_main(signal.SIGKILL), (-9,)),
    "SIGKILL to a worker": (kill_worker, (0,)),
    "SIGTERM": (end_main(signal.SIGTERM), (143,)),
    "SIGTERM to all": (end_group(signal.SIGTERM), (143,)),
    "SIGINT": (end_main(signal.SIGINT), (130,)),
    "SIGINT to all": (end_group(signal.SIGINT), (130,)),
    "SIGINT again and again": (interrupt_often, (130,)),
}


def end(folder: Path, kind: str, after: float, *options: str) -> str:
    """Start the command, end it after some seconds, and check how it ended; return its output."""
    how, statuses = KILLS[kind]
    process = start(folder, *options)
    time.sleep(after)
    ended_before = process.poll() is not None
    # It may end by itself at this moment.
    with suppress(ProcessLookupError):
        how(folder, process)
    output = finish(process)
    assert "Traceback" not in output, output
    assert process.returncode in (*statuses, 0), (process.returncode, output)
    if process.returncode in (130, 143):
        assert "resumes" in output or "interrupted" in output, output
    assert ended_before or all_gone(folder), processes(folder)
    return output

"""Progress on terminals and in logs: what is said, and that it never disturbs a run."""

from __future__ import annotations

import os
import pty
import re
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from io import StringIO
from pathlib import Path

import pytest
from helpers import jobs as do
from rich.console import Console

from bench.cache.store import Store
from bench.execution.estimates import Needs, Schedule
from bench.execution.execute import execute
from bench.execution.executors.distributed import DistributedExecutor
from bench.execution.scheduling.durations import KEPT, Durations
from bench.execution.scheduling.graph import Ended
from bench.execution.scheduling.job import Job, Outcome
from bench.execution.watching.live import Display
from bench.execution.watching.progress import Progress
from bench.execution.watching.status import Running, Snapshot, duration, left_words

JOBS = [do.job(f"job {number}", do.nothing, seconds=60.0) for number in range(4)]
OK = Outcome("ok", seconds=2.0)
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


def schedule(folder: Path, jobs: list[Job] = JOBS) -> Schedule:
    """Return jobs that have taken a minute before."""
    durations = Durations(Store(folder), "test", {})
    for job in jobs:
        durations.add(job, 60.0)
    return Schedule(jobs, frozenset(), durations, Needs.of([]))


def wait_until(said: Callable[[], str], text: str) -> None:
    deadline = time.monotonic() + 120
    while text not in said():
        assert time.monotonic() < deadline, said()
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.9, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (3900, "1 h 5 min")],
)
def test_durations_are_short(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_time_left_is_in_minutes() -> None:
    words = [left_words(seconds) for seconds in (0.0, 29.0, 100.0, 7300.0)]
    assert words == [*["less than a minute left"] * 2, "about 2 min left", "about 2 h 2 min left"]


def test_a_log_says_what_runs_while_nothing_ends(tmp_path: Path) -> None:
    file = StringIO()
    progress = Progress(Console(file=file, width=40), schedule(tmp_path), 2, printed_every=0.0)
    progress.start(JOBS[0])
    progress.start(JOBS[1])
    wait_until(file.getvalue, "2 min left\n")
    progress.end(Ended(JOBS[0], OK))
    progress.end(Ended(JOBS[1], Outcome("failed", "ValueError: [too] few", 1.0)))
    progress.stop()
    lines = file.getvalue().splitlines()
    running = r"0/4 done; running: job 0 \(\d+ s\), job 1 \(\d+ s\); about 2 min left"
    assert any(re.fullmatch(running, line) for line in lines)
    assert "[1/4] job 0  ok 2 s  about 2 min left" in " ".join(lines)
    assert "ValueError: [too] few" in " ".join(lines)
    assert lines[-1].startswith("2 jobs in 0 min ")
    # Its thread has ended with it.
    said = file.getvalue()
    time.sleep(0.6)
    assert file.getvalue() == said and "\x1b" not in said


def test_the_time_left_follows_what_jobs_take(tmp_path: Path) -> None:
    watched = schedule(tmp_path)
    progress = Progress(Console(file=StringIO()), watched, 1)
    progress.start(JOBS[0])
    assert progress.status.snapshot().left == "about 4 min left"
    for _ in range(KEPT):
        watched.durations.add(JOBS[0], 120.0)
    progress.end(Ended(JOBS[0], OK))
    assert progress.status.snapshot().left == "about 6 min left"
    progress.stop()


def test_one_finished_job_in_many_is_printed_and_every_failure(tmp_path: Path) -> None:
    file = StringIO()
    progress = Progress(Console(file=file, width=100), schedule(tmp_path), 2, every=3)
    for job, status in zip(JOBS, ("ok", "diverged", "ok", "ok"), strict=True):
        progress.start(job)
        progress.end(Ended(job, Outcome(status)))
    progress.stop()
    printed = [line[:5] for line in file.getvalue().splitlines() if line.startswith("[")]
    assert printed == ["[2/4]", "[3/4]", "[4/4]"]


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_the_display_fits_any_terminal(width: int) -> None:
    running = tuple(
        Running(f"polite ppo kl_coef=0.{i}, seed 0", 100.0 * i, 4096 if i % 2 else None)
        for i in range(12)
    )
    snapshot = Snapshot(3, 40, running, ("polite dpo, seed 1: ValueError: no",), "about 5 min left")
    file = StringIO()
    Console(file=file, width=width, height=12).print(Display(snapshot))
    lines = file.getvalue().splitlines()
    assert len(lines) <= 12 - 2 and max(map(len, lines)) <= width
    assert "3/40" in lines[0] and lines[-1].startswith("failed: polite")
    assert "and 8 more" in lines[-2]
    if width >= 40:
        assert "about 5 min left" in lines[0] and lines[2].endswith("step 4,096")
        assert ("…" in lines[2]) == (width < 80)


def shown_by(terminal: int) -> str:
    """Return all that was written to a terminal, which is closed by now."""
    said = b""
    # At its end, Linux says that there is an input/output error.
    with suppress(OSError):
        while more := os.read(terminal, 4096):
            said += more
    return said.decode()


def interrupt(_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("second", [do.nothing, interrupt])
def test_the_terminal_is_restored_however_the_run_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: Callable[[object], None]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    jobs = [do.job("first", do.nothing), do.job("second", second)]
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as file:
        plan = schedule(tmp_path, jobs)
        progress = Progress(Console(file=file, width=80, height=24), plan, 1)
        with pytest.raises(KeyboardInterrupt) if second is interrupt else nullcontext():
            execute(plan, DistributedExecutor(), progress)
    said = shown_by(ours)
    os.close(ours)
    assert said.count(HIDE) == said.count(SHOW) == 1 and said.index(HIDE) < said.index(SHOW)
    # What runs is below what has ended.
    assert " 1/2 " in said[said.index("[1/2]") :]
    assert ("[2/2]" in said) == (second is not interrupt)


def test_a_dumb_terminal_gets_plain_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as file:
        plan = schedule(tmp_path, JOBS[:1])
        execute(plan, DistributedExecutor(), Progress(Console(file=file), plan, 1))
    said = shown_by(ours)
    os.close(ours)
    assert "[1/1]" in said and "\x1b" not in said


class Unwritable(StringIO):
    """A pipe whose reader is gone, or a terminal that is."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, _: str) -> int:
        raise self.error


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), BrokenPipeError()])
def test_a_run_goes_on_when_nothing_can_be_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], error: OSError
) -> None:
    plan = schedule(tmp_path)
    console = Console(file=Unwritable(error))
    # Where a pipe was closed, rich turns off the standard output.
    saved = os.dup(1)
    try:
        assert execute(plan, DistributedExecutor(), Progress(console, plan, 1)) == {}
    finally:
        os.dup2(saved, 1)
        os.close(saved)

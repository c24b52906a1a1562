"""What is printed during a run: each finished job, what runs at the moment, and the time left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from rich.console import Console
from rich.live import Live
from rich.markup import escape

from bench.execution.estimates import Schedule
from bench.execution.scheduling.graph import Ended
from bench.execution.scheduling.job import Job
from bench.execution.watching.live import Display
from bench.execution.watching.status import SHARE, Snapshot, Status, duration

# Seconds between two updates of a terminal, and between two lines in a log.
UPDATED_EVERY, PRINTED_EVERY = 0.5, 60.0
PATIENCE = 2.0


class Progress:
    """Prints a line for each job that has ended, and says what runs.

    On a terminal, what runs is shown below these lines and kept up to date. In a log, it is a line
    whenever nothing else was printed for a while. Output that fails never disturbs the run.

    Args:
        console: Where it prints.
        schedule: The jobs.
        workers: How many of them run at a time.
        every: Print one finished job in this many. Failures are always printed.
        printed_every: Seconds between two lines in a log.
    """

    def __init__(
        self,
        console: Console,
        schedule: Schedule,
        workers: int,
        every: int = 1,
        *,
        printed_every: float = PRINTED_EVERY,
    ) -> None:
        self.console, self.every, self.printed_every = console, every, printed_every
        self.status = Status(schedule, workers)
        self._started = self._printed = time.monotonic()
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            get_renderable=lambda: Display(self.status.snapshot()),
        )
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="progress", daemon=True)

    def start(self, job: Job) -> None:
        """Take note that a job was started."""
        self.status.start(job)
        if self._thread.ident is None:
            if is_terminal(self.console):
                harmlessly(self._live.start)
            self._thread.start()

    def end(self, ended: Ended) -> None:
        """Count a finished job, and print its outcome and the time left."""
        self.status.end(ended)
        harmlessly(lambda: self._print_end(ended))

    def stop(self) -> None:
        """Restore the terminal, and print how long all jobs took."""
        self._stopping.set()
        if self._thread.ident is not None:
            # It may wait for a terminal that takes no more.
            self._thread.join(PATIENCE)
        harmlessly(self._live.stop)
        if done := self.status.done:
            minutes, seconds = divmod(round(time.monotonic() - self._started), 60)
            line = f"[dim]{done} jobs in {minutes} min {seconds} s[/]"
            harmlessly(lambda: self.console.print(line))

    def _print_end(self, ended: Ended) -> None:
        job, outcome = ended
        done, total = self.status.done, self.status.total
        if done % self.every and done < total and outcome.status == "ok":
            return
        width, left = len(str(total)), self.status.snapshot().left
        color = "green" if outcome.status == "ok" else "red"
        self.console.print(
            f"[dim]\\[{done:>{width}}/{total}][/] {escape(job.label)}  "
            f"[{color}]{outcome.status}[/] {outcome.seconds:.0f} s  [dim]{left}[/]",
            highlight=False,
        )
        if outcome.error:
            self.console.print(f"  {outcome.error}", style="red", markup=False, highlight=False)
        self._printed = time.monotonic()
        if self._live.is_started:
            self._live.refresh()

    def _follow(self) -> None:
        """Say what runs until the run ends."""
        pause = UPDATED_EVERY
        while not self._stopping.wait(pause):
            started = time.monotonic()
            if self._live.is_started:
                harmlessly(self._live.refresh)
            elif started - self._printed >= self.printed_every:
                harmlessly(self._print_status)
                self._printed = started
            pause = max(UPDATED_EVERY, (time.monotonic() - started) / SHARE)

    def _print_status(self) -> None:
        line = line_of(self.status.snapshot())
        self.console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)


def harmlessly(show: Callable[[], object]) -> None:
    """Show something if that is possible. A closed terminal or pipe is no reason to end a run."""
    # rich exits where the reader of a pipe is gone.
    with suppress(Exception, SystemExit):
        show()


def is_terminal(console: Console) -> bool:
    """Return whether what was printed can be replaced: not in files, nor on a dumb terminal."""
    return console.is_interactive and console.file.isatty() and not console.quiet


def line_of(snapshot: Snapshot) -> str:
    """Return what runs and how far all is, in one line."""
    jobs = ", ".join(
        f"{job.label} ({duration(job.seconds)}"
        + (f", step {job.step:,})" if job.step is not None else ")")
        for job in snapshot.running
    )
    parts = (f"{snapshot.done}/{snapshot.total} done", f"running: {jobs}" if jobs else "")
    return "; ".join(filter(None, (*parts, snapshot.left)))

"""What the terminal shows during a run: each finished job, and the time left."""

from __future__ import annotations

import time
from collections import Counter, defaultdict

from rich.console import Console

# First guesses of how long a kind of job takes (s). Measured times replace them.
GUESS = {
    "shared stages": 60.0,
    "sft": 4.0,
    "dpo": 12.0,
    "best_of_n": 12.0,
    "optimal frontier": 30.0,
}
DEFAULT_GUESS = 25.0


class Progress:
    """Counts finished jobs and estimates the time left from how long each kind of job took.

    Args:
        console: Where it prints.
        jobs: How many jobs run at a time.
        every: Print one finished job in this many. Failures are always printed.
    """

    def __init__(self, console: Console, jobs: int, every: int = 1) -> None:
        self.console, self.jobs, self.every = console, jobs, every
        self.left: Counter[str] = Counter()
        self.took: defaultdict[str, list[float]] = defaultdict(list)
        self.total = self.done = 0
        self.started = time.perf_counter()

    def start(self, stages: int, runs: list[str]) -> None:
        """Set what will be done.

        Args:
            stages: How many pipelines will be prepared.
            runs: The method of each run.
        """
        self.left = Counter({"shared stages": stages}) + Counter(runs)
        self.total = self.left.total()

    def expect(self, kind: str, count: int) -> None:
        """Set how many jobs of a kind are left, whatever was expected before."""
        self.total += count - self.left[kind]
        self.left[kind] = count

    def advance(self, kind: str, label: str, status: str, error: str, seconds: float) -> None:
        """Count a finished job, and print its outcome and the time left.

        Args:
            kind: The kind of job; times are averaged by kind.
            label: The name that is printed.
            status: "ok", or what went wrong.
            error: A message; empty where there is none.
            seconds: How long it took.
        """
        self.done += 1
        self.left[kind] -= 1
        self.took[kind].append(seconds)
        if self.done % self.every and self.done < self.total and status == "ok":
            return
        width = len(str(self.total))
        color = "green" if status == "ok" else "red"
        self.console.print(
            f"[dim]\\[{self.done:>{width}}/{self.total}][/] {label}  "
            f"[{color}]{status}[/] {seconds:.0f} s  [dim]{self._left()}[/]",
            highlight=False,
        )
        if error:
            self.console.print(f"  {error}", style="red", markup=False, highlight=False)

    def _left(self) -> str:
        seconds = sum(n * self._expected(kind) for kind, n in self.left.items()) / self.jobs
        if not self.left.total():
            return "done"
        minutes = round(seconds / 60)
        return f"about {minutes} min left" if minutes else "less than a minute left"

    def _expected(self, kind: str) -> float:
        took = self.took[kind]
        return sum(took) / len(took) if took else GUESS.get(kind, DEFAULT_GUESS)

    def stop(self) -> None:
        """Print how long all jobs took."""
        if self.total:
            minutes, seconds = divmod(round(time.perf_counter() - self.started), 60)
            self.console.print(f"[dim]{self.total} jobs in {minutes} min {seconds} s[/]")

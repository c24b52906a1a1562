"""What the terminal shows while a run goes on: each thing done, and the time left."""

from __future__ import annotations

import time
from collections import Counter, defaultdict

from rich.console import Console

# First guesses of how long a kind of job takes, relative to each other; measured ones replace them.
GUESS = {"shared stages": 60.0, "sft": 4.0, "dpo": 12.0, "best_of_n": 12.0, "optimal frontier": 30.0}
DEFAULT_GUESS = 25.0


class Progress:
    """Counts what is done and tells the time left from how long each kind of job has taken.

    every: show one job in so many; what goes wrong is always shown.
    """

    def __init__(self, console: Console, jobs: int, every: int = 1) -> None:
        self.console, self.jobs, self.every = console, jobs, every
        self.left: Counter[str] = Counter()
        self.took: defaultdict[str, list[float]] = defaultdict(list)
        self.total = self.done = 0
        self.started = time.perf_counter()

    def start(self, stages: int, runs: list[str]) -> None:
        """Take in what will be done: how many pipelines to prepare, and the runs' methods."""
        self.left = Counter({"shared stages": stages}) + Counter(runs)
        self.total = self.left.total()

    def expect(self, kind: str, count: int) -> None:
        """Take in how many jobs of a kind there will be, whatever was expected before."""
        self.total += count - self.left[kind]
        self.left[kind] = count

    def advance(self, kind: str, label: str, status: str, error: str, seconds: float) -> None:
        """Show one job's outcome and what is left."""
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
        """Say how long it took."""
        if self.total:
            minutes, seconds = divmod(round(time.perf_counter() - self.started), 60)
            self.console.print(f"[dim]{self.total} jobs in {minutes} min {seconds} s[/]")

"""What a terminal shows of the jobs at a moment: a bar, what runs, and the last failures."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.execution.watching.status import Running, Snapshot, duration

# Lines of the terminal that are left to what is printed above.
LINES_ABOVE = 6
SHORTEST_BAR, LONGEST_BAR = 6, 40


class Display:
    """A snapshot as rich shows it, in the width and height that there is."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines."""
        room = max(1, console.height - LINES_ABOVE - len(self.snapshot.failures))
        yield Group(
            bar_line(self.snapshot, options.max_width),
            *running_lines(self.snapshot.running, room, options.max_width),
            *(_line(f"failed: {text}", "red") for text in self.snapshot.failures),
        )


def bar_line(snapshot: Snapshot, width: int) -> RenderableType:
    """Return the bar with counts and the time left; a narrow terminal gets a short bar."""
    count = f"{snapshot.done}/{snapshot.total}"
    room = width - len(count) - len(snapshot.left) - 2
    line = Table.grid(padding=(0, 1, 0, 0))
    if room < SHORTEST_BAR:
        line.add_row(_line(f"{count} {snapshot.left}"))
        return line
    bar = ProgressBar(snapshot.total, snapshot.done, width=min(room, LONGEST_BAR))
    line.add_row(bar, Text(count), Text(snapshot.left, "dim"))
    return line


def running_lines(running: tuple[Running, ...], most: int, width: int) -> list[RenderableType]:
    """Return a line for each job that runs, as many as there is room for."""
    shown = running if len(running) <= most else running[: most - 1]
    lines: list[RenderableType] = []
    if shown:
        times = [duration(job.seconds) for job in shown]
        steps = ["" if job.step is None else f"step {job.step:,}" for job in shown]
        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_column(justify="right", style="dim")
        # Where it is narrow, the names are cut.
        room = max(1, width - max(map(len, times)) - max(map(len, steps)) - 3)
        table.add_column(max_width=room, no_wrap=True, overflow="ellipsis")
        table.add_column(style="dim")
        for time, job, step in zip(times, shown, steps, strict=True):
            table.add_row(time, Text(job.label), step)
        lines.append(table)
    if len(shown) < len(running):
        lines.append(_line(f"and {len(running) - len(shown)} more", "dim"))
    return lines


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")

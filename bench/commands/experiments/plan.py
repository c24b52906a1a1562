"""`prefrontier plan`: what an experiment takes, and what more workers would change."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from bench.commands.experiments.options import Options, experiment_of
from bench.requirements.words import duration, gigabytes

if TYPE_CHECKING:
    from bench.execution.estimates import Schedule
    from bench.execution.scheduling.job import Executor, Job

# Numbers of workers whose time is shown, besides that of the executor.
WORKERS = (1, 8, 64)


def show_plan(options: Options) -> int:
    """Print the jobs of an experiment, what is cached, and what the rest takes; run nothing.

    Raises:
        UserError: The input is not valid.
    """
    experiment = experiment_of(options)
    from bench.commands.experiments.prepare import prepare
    from bench.commands.experiments.run import print_plan
    from bench.execution.executors.process import silence_libraries

    silence_libraries()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    prepared = prepare(experiment, options, console)
    if prepared is None:
        return 0
    print_plan(prepared, console)
    console.print(jobs_table(prepared.schedule))
    for line in schedule_lines(prepared.schedule, prepared.executor):
        console.print(line, soft_wrap=True, markup=False)
    return 0


def jobs_table(schedule: Schedule) -> Table:
    """Return a table of the jobs of each kind: how many, how many cached, and their time."""
    table = Table("jobs", box=None, padding=(0, 2, 0, 0))
    for title in ("in all", "cached", "to do", "time of each", "time in all", "times known"):
        table.add_column(title, justify="right")
    left = schedule.left()
    for kind in dict.fromkeys(job.kind for job in schedule.jobs):
        count = sum(job.kind == kind for job in schedule.jobs)
        to_do = [job for job in left if job.kind == kind]
        seconds = sum(job.seconds for job in to_do)
        known = sum(schedule.durations.estimate(job).known for job in to_do)
        times = (duration(seconds / len(to_do)), duration(seconds)) if to_do else ("", "")
        share = f"{known}/{len(to_do)}" if to_do else ""
        table.add_row(kind, str(count), str(count - len(to_do)), str(len(to_do)), *times, share)
    return table


def schedule_lines(schedule: Schedule, executor: Executor) -> Iterator[str]:
    """Yield what is left to do in words: the time, the longest chain, the disk."""
    from bench.execution.scheduling.replay import longest_chain, replayed_seconds

    workers = executor.workers
    left = schedule.left()
    if not left:
        yield "everything is cached"
        return
    overhead = schedule.durations.overhead()
    times = {
        count: duration(overhead + replayed_seconds(schedule.jobs, schedule.made, count))
        for count in sorted({*WORKERS, workers})
    }
    each = ", ".join(
        f"{count} {'worker' if count == 1 else 'workers'} {time}" for count, time in times.items()
    )
    yield (
        f"time: about {times[workers]} with {executor.describe()} ({each}), "
        f"{duration(overhead)} of it for the start and the report"
    )
    chain = longest_chain(schedule.jobs, schedule.made)
    steps = " > ".join(f"{job.label} ({duration(job.seconds)})" for job in chain)
    yield f"longest chain, {duration(sum(job.seconds for job in chain))}: {steps}"
    yield _disk(schedule, left)
    guessed = sum(not schedule.durations.estimate(job).known for job in left)
    if guessed:
        yield (
            f"the times of {guessed} of {len(left)} jobs are not known from earlier ones on this "
            "machine: they are guesses"
        )


def _disk(schedule: Schedule, left: Sequence[Job]) -> str:
    sizes = [schedule.durations.estimate(job).size for job in left]
    known = [size for size in sizes if size is not None]
    unknown = len(sizes) - len(known)
    besides = f", and what {unknown} jobs make of which none was done before" if unknown else ""
    return f"disk: {gigabytes(sum(known))}{besides}"

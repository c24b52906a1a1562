"""`prefrontier bench`: from an experiment to its report."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from bench.cache.files import check_can_be_made, check_writable
from bench.commands.experiments.options import Options, experiment_of
from bench.config.experiment import Experiment
from bench.errors import Missing, Unusable, UserError
from bench.interrupt import exit_status_of
from methods.core.models import distributed

if TYPE_CHECKING:
    from bench.commands.experiments.prepare import Prepared
    from bench.execution.estimates import Schedule
    from bench.execution.execute import Problems
    from bench.execution.plan import Plan
    from bench.execution.scheduling.job import Job


def run_bench(options: Options) -> int:
    """Run an experiment and write its results.

    Args:
        options: The experiment, and what of it is run.

    Returns:
        The exit status: 1 if something failed, 130 or 143 if it was interrupted.

    Raises:
        UserError: The input is not valid.
    """
    started = time.time()
    experiment = experiment_of(options)
    folder = options.out or Path("results") / experiment.name
    check_can_be_made(folder)
    # These import torch, for which a message about a wrong option should not wait.
    from bench.commands.experiments.prepare import prepare
    from bench.execution.executors.process import silence_libraries

    silence_libraries()
    # A file has no width to fit into; this is wide enough for the tables.
    width = None if sys.stdout.isatty() else 140
    console = Console(highlight=False, width=width, quiet=not distributed.is_main())
    try:
        prepared = prepare(experiment, options, console)
        return _run(prepared, options.log_to, folder, started, console) if prepared else 0
    except KeyboardInterrupt as interrupt:
        console.print("interrupted: finished work is kept; the same command resumes the run")
        return exit_status_of(interrupt)


def _run(
    prepared: Prepared, trackers: Sequence[str], folder: Path, started: float, console: Console
) -> int:
    from bench.cache.default import default_store
    from bench.execution.scheduling.scheduler import Stopped
    from bench.execution.writing import drop_policies, write_results
    from bench.judging.client import check_answers

    plan = prepared.plan
    if plan.experiment.llm_judge and prepared.schedule.left():
        # Rather than after hours of training.
        check_answers(plan.experiment.llm_judge)
    # Not before all of the input was found to be right.
    check_writable(folder, default_store().root)
    print_plan(prepared, console)
    # An executor that has been stopped does not know any more.
    workers = prepared.executor.workers
    try:
        with recorded(plan, prepared.schedule.jobs) as record:
            problems = run_jobs_of(prepared, trackers, folder, console)
            distributed.finalize()
            if not distributed.is_main():
                return 1 if problems else 0
            kept = write_results(plan, problems, folder, started, command_line())
            record(plan.measured_artifacts())
            drop_policies(plan, kept)
    except (Stopped, Unusable, Missing, OSError) as problem:
        return say_failure(problem)
    judge_status = run_llm_judge(plan.experiment, folder, default_store().root, console)
    status = max(show(folder, console, len(problems)), judge_status)
    if status == 0 and plan.experiment.llm_judge is None and prepared.schedule.left():
        note_overhead(prepared.schedule, workers, time.time() - started)
    return status


@contextmanager
def recorded(plan: Plan, jobs: Sequence[Job]) -> Iterator[Callable[[Iterable[str]], None]]:
    """Record which artifacts an experiment uses; give what adds more of them to the record.

    Args:
        plan: Of the experiment.
        jobs: All of its jobs.
    """
    from bench.cache.default import default_store
    from bench.cache.uses import using
    from bench.execution.jobs import artifacts_of

    if not distributed.is_main():
        yield lambda more: None
        return
    names = artifacts_of(jobs)
    with using(default_store(), plan.experiment.name, command_line(), names) as record:
        record(plan.hold_pools())
        yield record


def print_plan(prepared: Prepared, console: Console) -> None:
    """Print what will be done, a line for each task, and the declared contrasts."""
    plan = prepared.plan
    how = f"{plan.experiment.name} on {plan.device}, {prepared.executor.describe()}"
    console.print(f"[bold]prefrontier[/] {how}")
    for line in plan.lines():
        console.print(f"  {line}", soft_wrap=True)
    if plan.experiment.contrasts:
        console.print(f"  {contrasts_line(plan.experiment)}", soft_wrap=True, markup=False)


def run_jobs_of(
    prepared: Prepared, trackers: Sequence[str], folder: Path, console: Console
) -> Problems:
    """Do all jobs; return status and error of each run that is not ok, by its key.

    Args:
        prepared: The jobs, and what runs them.
        trackers: What training curves are sent to.
        folder: The results folder.
        console: Where progress is shown.
    """
    from bench.execution.execute import Watcher, execute
    from bench.execution.watching.progress import Progress
    from bench.execution.watching.tracking import Tracking

    schedule, executor = prepared.schedule, prepared.executor
    watchers: list[Watcher] = [Progress(console, schedule, executor.workers)]
    if trackers and distributed.is_main():
        name = prepared.plan.experiment.name
        watchers.append(Tracking(trackers, name, folder / "logs", console))
    return execute(schedule, executor, *watchers, keeps_policies=prepared.plan.keeps_policies)


def contrasts_line(experiment: Experiment) -> str:
    """Return the declared contrasts, and how many seeds a verdict needs where there are fewer."""
    from bench.analysis.statistics import seeds_for_verdict

    pairs = [" vs ".join(pair) for pair in experiment.contrasts]
    # Holm corrects for the contrasts of all tasks together.
    tested = sum(
        experiment.both_run(pair, task)
        for pair in experiment.contrasts
        for task in experiment.tasks
    )
    needed = seeds_for_verdict(tested)
    too_few = f"; a verdict needs {needed} seeds, not {experiment.seeds}"
    return f"contrasts: {', '.join(pairs)}{too_few if experiment.seeds < needed else ''}"


def run_llm_judge(experiment: Experiment, folder: Path, cache: Path, console: Console) -> int:
    """Let a language model judge, if one is named; 1 if the report is made without all of it."""
    from bench.judging.folder import judge_folder

    if experiment.llm_judge is None:
        return 0
    try:
        return judge_folder(folder, experiment.llm_judge, cache, console)
    except UserError as problem:
        console.print(f"[red]not judged[/]: {escape(str(problem))}", soft_wrap=True)
    except KeyboardInterrupt as interrupt:
        console.print("not judged: interrupted; the answers are kept")
        return exit_status_of(interrupt)
    return 1


def show(folder: Path, console: Console, failures: int) -> int:
    """Build the report and print it in short; return the exit status: 1 if a run failed, else 0."""
    from bench.report.build import build_report
    from bench.report.terminal import terminal_report

    report = build_report(folder)
    for shown in terminal_report(folder):
        console.print(shown, soft_wrap=isinstance(shown, Text))
    if failures:
        runs = "1 run" if failures == 1 else f"{failures} runs"
        console.print(f"[red]{runs} failed[/]: the report lists all with their errors")
    console.print(f"report: {report}", soft_wrap=True)
    return 1 if failures else 0


def note_overhead(schedule: Schedule, workers: int, seconds: float) -> None:
    """Keep what a command took besides its jobs, for the next estimate.

    Args:
        schedule: Its jobs, which have been done.
        workers: How many ran at once.
        seconds: What it took in all.
    """
    from bench.execution.scheduling.replay import replayed_seconds

    of_jobs = replayed_seconds(schedule.estimated_anew(), schedule.made, workers)
    schedule.durations.add_overhead(max(0.0, seconds - of_jobs))


def say_failure(problem: Exception) -> int:
    """Print in one line why jobs or results could not be made; return the exit status."""
    from bench.execution.scheduling.failures import one_line
    from bench.execution.scheduling.scheduler import Stopped

    resumes = isinstance(problem, Stopped | Unusable)
    advice = "; once that is mended, the same command resumes the run" if resumes else ""
    print(f"prefrontier: {one_line(str(problem))}{advice}", file=sys.stderr)
    return 1


def command_line() -> str:
    """Return the command line of this process, in a form that a shell accepts."""
    return shlex.join(["prefrontier", *sys.argv[1:]])

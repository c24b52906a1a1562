"""`prefrontier calibrate`: the suite's verdicts on tasks where the truth is known."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from bench.cache.files import check_can_be_made, check_writable
from bench.commands.experiments.run import command_line, say_failure
from bench.config.experiment import MOST_JOBS
from bench.config.validation import check_count
from bench.errors import Missing, Unusable
from bench.interrupt import exit_status_of

if TYPE_CHECKING:
    import pandas as pd

# Runs take less than a second: a line for each would fill the terminal.
SHOW_EVERY = 50


def run_calibration(*, quick: bool, jobs: int | None, out: Path | None) -> int:
    """Make the comparisons of a calibration and write its report.

    Args:
        quick: Whether only a few comparisons are made.
        jobs: Number of parallel worker processes; None for one per core.
        out: The folder of the results; None for the default one.

    Returns:
        The exit status: 1 if something failed, 130 or 143 if it was interrupted.

    Raises:
        UserError: An option is not valid, or a folder cannot be written to.
    """
    check_count("--jobs", jobs, MOST_JOBS)
    folder = out or Path("results") / ("calibration-quick" if quick else "calibration")
    check_can_be_made(folder)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # These import torch, for which a message about a wrong option should not wait.
    from bench.cache.default import default_store
    from bench.cache.uses import using
    from bench.calibration.design import FULL, QUICK, Design
    from bench.calibration.verdicts import differences
    from bench.execution.estimates import Schedule
    from bench.execution.execute import execute
    from bench.execution.executors.devices import default_jobs
    from bench.execution.executors.local import LocalExecutor
    from bench.execution.executors.process import silence_libraries
    from bench.execution.jobs import artifacts_of
    from bench.execution.manifest import circumstances
    from bench.execution.scheduling.scheduler import Stopped
    from bench.execution.watching.progress import Progress
    from bench.results.replacing import replaced_together

    silence_libraries()
    console = Console(highlight=False)
    started = time.time()
    store, size = default_store(), QUICK if quick else FULL
    store.check()
    check_writable(folder, store.root)
    design = Design.of(size, store)
    executor = LocalExecutor(jobs or default_jobs("cpu"))
    to_prepare, to_do = len(design.unready()), len(design.unfinished())
    console.print(
        f"[bold]prefrontier[/] calibrate on cpu, {executor.describe()}\n"
        f"  {len(design.pipelines)} instances, {to_prepare} to prepare; "
        f"{len(design.runs)} runs, {to_do} to do",
        soft_wrap=True,
    )
    try:
        schedule = Schedule.of(design, machine=f"cpu, {executor.describe()}")
        progress = Progress(console, schedule, executor.workers, SHOW_EVERY)
        names = artifacts_of(schedule.jobs)
        with using(store, folder.name, command_line(), names):
            problems = execute(schedule, executor, progress)
            # While nobody may drop what it reads.
            found = differences(design, problems)
    except KeyboardInterrupt as interrupt:
        console.print("interrupted: finished work is kept; the same command resumes it")
        return exit_status_of(interrupt)
    except (Stopped, Unusable, Missing, OSError) as problem:
        return say_failure(problem)
    manifest = circumstances(started, "cpu", command_line()) | {
        "size": dataclasses.asdict(size),
        "task": dataclasses.asdict(design.pipelines[0].task),
        "runs": len(design.runs),
        "failed_runs": len(problems),
        "cached_runs": len(design.runs) - to_do,
    }
    with replaced_together(folder) as new:
        write_calibration(new, found, len(design.pipelines), size.simulated, manifest)
    show(folder, console)
    if problems:
        console.print(f"[red]{len(problems)} runs failed[/]: their instances are left out")
    return 1 if problems else 0


def write_calibration(
    folder: Path,
    differences: pd.DataFrame,
    instances: int,
    simulated: int | None,
    manifest: dict[str, Any],
) -> None:
    """Write all files of a calibration.

    Args:
        folder: Where they are written.
        differences: From `bench.calibration.verdicts.differences`.
        instances: Number of instances.
        simulated: As in `Size`.
        manifest: When, where and how the calibration was made.
    """
    from bench.cache.files import write_json
    from bench.calibration.figure import write_figure
    from bench.calibration.verdicts import judge, pairs

    judged = judge(differences)
    paired = pairs(differences, judged)
    write_frame(folder / "calibration.csv", judged)
    write_frame(folder / "pairs.csv", paired)
    write_figure(paired, folder)
    write_json(folder / "manifest.json", manifest)
    write_report(folder, paired, instances, simulated)


def write_report(
    folder: Path, paired: pd.DataFrame, instances: int, simulated: int | None = None
) -> None:
    """Simulate comparisons without training, and write report and summary of all comparisons.

    Args:
        folder: Where they are written.
        paired: From `bench.calibration.verdicts.pairs`.
        instances: Number of instances.
        simulated: As in `Size`.
    """
    from bench.cache.files import write_json, write_text
    from bench.calibration import claims, shared_prompts
    from bench.calibration.report import report
    from bench.calibration.summary import summarize

    cells, kinds = shared_prompts.simulate(simulated), claims.simulate(simulated)
    write_frame(folder / "shared_prompts.csv", cells)
    write_frame(folder / "claims.csv", kinds)
    summary = summarize(paired, instances) | {
        "shared_prompts": shared_prompts.summarize_shared_prompts(cells),
        "claims": claims.summarize_claims(kinds),
    }
    write_text(folder / "report.md", report(paired, summary))
    write_json(folder / "summary.json", summary)


def write_frame(file: Path, frame: pd.DataFrame) -> None:
    """Write a table, numbers to 8 significant digits."""
    from bench.cache.files import write_text

    write_text(file, frame.to_csv(index=False, float_format="%.8g"))


def show(folder: Path, console: Console) -> None:
    """Print the results of a calibration and the path of its report."""
    from bench.report.sections.calibration import calibration_sentences

    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    for sentence in calibration_sentences(summary):
        console.print(sentence)
    console.print(f"report: {folder / 'report.md'}", soft_wrap=True)

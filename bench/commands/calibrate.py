"""`prefrontier calibrate`: from many small pipelines to results/calibration."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import pandas as pd
from rich.console import Console

from bench.commands.run import check_writable, command_line
from bench.errors import UserError

# Runs take less than a second: a line for each would be all that one sees.
SHOW_EVERY = 50


def run_calibration(*, quick: bool, jobs: int | None, out: Path | None) -> int:
    """Compare, judge and write; return the exit status (1: something failed)."""
    if jobs is not None and jobs < 1:
        raise UserError(f"--jobs: must be 1 or more, not {jobs}")
    folder = out or Path("results") / ("calibration-quick" if quick else "calibration")
    check_writable(folder)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # Imported here: these bring in torch, and a mistake in the options should not wait for it.
    from bench.calibration.design import FULL, QUICK, Design
    from bench.calibration.verdicts import differences
    from bench.execution.manifest import circumstances
    from bench.execution.progress import Progress
    from bench.execution.plan import default_jobs, default_store, execute
    from bench.execution.executors import LocalExecutor, silence_libraries

    silence_libraries()
    console = Console(highlight=False)
    started = time.time()
    store, size = default_store(), QUICK if quick else FULL
    check_writable(store.root)
    design = Design.of(size, store)
    workers = LocalExecutor(jobs or default_jobs("cpu"))
    to_make, to_do = len(design.unready()), len(design.unfinished())
    console.print(
        f"[bold]prefrontier[/] calibrate on cpu, {workers.jobs} at a time\n"
        f"  {len(design.pipelines)} pipelines, {to_make} to make; {len(design.runs)} runs, {to_do} to do",
        soft_wrap=True,
    )
    try:
        problems = execute(design, workers, Progress(console, workers.jobs, SHOW_EVERY))
    except KeyboardInterrupt:
        console.print("interrupted: what is done is kept; the same command goes on from here")
        return 130
    about = circumstances(started, "cpu", command_line()) | {
        "size": dataclasses.asdict(size),
        "pipeline": dataclasses.asdict(design.pipelines[0].task),
        "runs": len(design.runs),
        "failed_runs": len(problems),
        "cached_runs": len(design.runs) - to_do,
    }
    _write(folder, differences(design, problems), len(design.pipelines), about, console)
    if problems:
        console.print(f"[red]{len(problems)} runs failed[/]: their pipelines are left out")
    return 1 if problems else 0


def _write(
    folder: Path, pipelines: pd.DataFrame, count: int, about: dict[str, object], console: Console
) -> None:
    """Write all files of the folder, and say what they say."""
    from bench.calibration.figure import write_figure
    from bench.calibration.report import report
    from bench.calibration.summary import summarize
    from bench.calibration.verdicts import judge, pairs
    from bench.report.trust import trust
    from bench.execution.tables import write_csv
    from bench.cache.files import write_json, write_text

    judged = judge(pipelines)
    found = pairs(pipelines, judged)
    summary = summarize(found, count)
    write_csv(folder / "calibration.csv", judged)
    write_csv(folder / "pairs.csv", found)
    write_figure(found, folder)
    write_text(folder / "report.md", report(found, summary))
    write_json(folder / "manifest.json", about)
    # Last: what other reports quote is there only when all else is.
    write_json(folder / "summary.json", summary)
    for sentence in trust(summary).sentences:
        console.print(sentence)
    console.print(f"report: {folder / 'report.md'}", soft_wrap=True)

"""One stage of testing claims: the experiments of several claims as one graph of jobs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from bench.analysis.claims.folder import FILE, claim_text
from bench.cache.default import default_store
from bench.cache.files import write_text
from bench.commands.claims.looks import Stage
from bench.commands.experiments.executor import executor_for
from bench.commands.experiments.options import Options, device_of
from bench.commands.experiments.plan import jobs_table, schedule_lines
from bench.commands.experiments.run import command_line, recorded
from bench.config.claim import NamedClaim
from bench.execution.estimates import Schedule
from bench.execution.execute import Problems, execute
from bench.execution.jobs import jobs_of
from bench.execution.plan import Plan
from bench.execution.scheduling.job import Executor
from bench.execution.watching.progress import Progress
from bench.execution.writing import drop_policies, write_results


def run_stage(
    stage: Stage,
    options: Options,
    folder: Path,
    console: Console,
) -> dict[str, bool]:
    """Run the experiments of claims and write their results.

    Args:
        stage: The claims, and the numbers of seeds at which each is tested so far.
        options: Jobs, device and executor.
        folder: Where the results go, a folder for each claim.
        console: Where progress is shown.

    Returns:
        Whether each run failed, by its key.
    """
    started = time.time()
    plans, schedule, executor = _prepared(stage, options)
    _print_head(stage, plans, schedule, executor, console)
    with ExitStack() as stack:
        # Nobody may drop what the results are read from.
        records = [stack.enter_context(recorded(plan, jobs_of(plan))) for plan in plans]
        progress = Progress(console, schedule, executor.workers)
        problems = execute(schedule, executor, progress, keeps_policies=False)
        for (claim, looks), plan, record in zip(stage, plans, records, strict=True):
            _write(claim, looks, plan, problems, folder / claim.name, started)
            record(plan.measured_artifacts())
    return {run.key: run.key in problems for plan in plans for run in plan.runs}


def _write(
    claim: NamedClaim,
    looks: list[int],
    plan: Plan,
    problems: Problems,
    folder: Path,
    started: float,
) -> None:
    keys = {run.key for run in plan.runs}
    own = {key: problem for key, problem in problems.items() if key in keys}
    kept = write_results(plan, own, folder, started, command_line())
    write_text(folder / FILE, claim_text(claim.claim, looks))
    drop_policies(plan, kept)


def print_stage(stage: Stage, options: Options, console: Console) -> None:
    """Print the jobs of claims, what is cached, and what the rest takes; run nothing."""
    plans, schedule, executor = _prepared(stage, options)
    _print_head(stage, plans, schedule, executor, console)
    console.print(jobs_table(schedule))
    for line in schedule_lines(schedule, executor):
        console.print(line, soft_wrap=True, markup=False)


def _prepared(stage: Stage, options: Options) -> tuple[list[Plan], Schedule, Executor]:
    device, store = device_of(options), default_store()
    plans = [Plan.of(claim.experiment(looks[-1]), store, device) for claim, looks in stage]
    executor = executor_for(plans[0].experiment, device, options, store)
    machine = f"{device}, {executor.describe()}"
    return plans, Schedule.of(*plans, machine=machine), executor


def _print_head(
    stage: Stage,
    plans: Sequence[Plan],
    schedule: Schedule,
    executor: Executor,
    console: Console,
) -> None:
    console.print(f"[bold]prefrontier[/] {len(stage)} claims, {executor.describe()}")
    for (claim, looks), plan in zip(stage, plans, strict=True):
        runs = f"{len(plan.runs)} runs, {len(plan.runs) - plan.cached} to do"
        console.print(f"  {claim.name}: {looks[-1]} seeds; {runs}", soft_wrap=True)

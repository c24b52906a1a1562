"""`prefrontier bench`: from an experiment to its report."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from bench.cache.files import check_writable
from bench.commands.requirements import check_disk, check_requirements
from bench.config.catalog import ALL, not_in_all
from bench.config.contrasts import declare
from bench.config.experiment import Experiment
from bench.config.files import load_experiment
from bench.config.narrowing import narrow
from bench.config.settings import check_feedback
from bench.errors import UserError
from bench.pipeline.sources import needs_hub
from bench.requirements.estimate import is_large
from bench.requirements.presets import built_in, limited_to_data
from methods.core.feedback import DERIVABLE
from methods.core.models import distributed

if TYPE_CHECKING:
    from bench.execution.plan import Plan


def run_bench(
    source: str,
    *,
    data: str = "",
    model: str = "",
    methods: list[str],
    tasks: list[str],
    contrasts: Sequence[str] = (),
    seeds: int | None,
    jobs: int | None,
    device: str,
    out: Path | None,
    keep: str = "",
    dry_run: bool = False,
    force: bool = False,
) -> int:
    """Run an experiment and write its results.

    Args:
        source: A built-in experiment's name or a file; by default one that suits data and model.
        data: Preferences for the experiment's recorded task.
        model: The model of that task.
        methods: Only these methods; empty for all of the experiment.
        tasks: Only these tasks; empty for all of the experiment.
        contrasts: Contrasts besides those of the experiment, such as "mine,dpo".
        seeds: Number of seeds; None for that of the experiment.
        jobs: Number of parallel worker processes; None for that of the experiment.
        device: "auto", "cpu" or "cuda".
        out: The results folder; None for results/NAME.
        keep: Which policies stay on disk; "" for what the experiment says.
        dry_run: Whether to print only what large models take.
        force: Whether to run what does not seem to fit into memory or on disk.

    Returns:
        The exit status: 1 if something failed, 130 if it was interrupted.

    Raises:
        UserError: The input is not valid.
    """
    preset = source or built_in(data, model, lambda: resolve_device(device))
    experiment = load_experiment(preset, data=data, model=model)
    if not source and preset.startswith("pretrained"):
        experiment = limited_to_data(experiment)
    check_positive("--seeds", seeds)
    check_positive("--jobs", jobs)
    experiment = narrow(experiment, tasks=tasks, methods=methods, seeds=seeds, keep=keep)
    experiment = declare(experiment, contrasts, methods)
    for name, reason in not_in_all(methods).items():
        print(f"{name} is left out: it cannot be imported: {reason}", file=sys.stderr)
    folder = out or Path("results") / experiment.name
    check_writable(folder)
    if not any(map(needs_hub, experiment.task_objects.values())):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    jobs = jobs or experiment.jobs
    return _run(
        experiment,
        folder,
        resolve_device(device),
        jobs,
        ALL in methods,
        dry_run=dry_run,
        force=force,
    )


def check_positive(option: str, value: int | None) -> None:
    """Raise UserError if an option is set to a number below 1."""
    if value is not None and value < 1:
        raise UserError(f"{option}: must be 1 or more, not {value}")


def fit_options(experiment: Experiment) -> tuple[Experiment, list[str]]:
    """Adapt the tasks' options to the limits of their models.

    Returns:
        The experiment, and a line for each option that was changed.
    """
    from bench.pipeline.registry import pipeline_class

    content, lines = experiment.model_dump(), []
    for name, task in experiment.task_objects.items():
        for option, value in pipeline_class(task).fit_options(task).items():
            content["tasks"][name]["options"][option] = value
            lines.append(f"{name}: {option} is {value}, half of the model's context")
    return (Experiment.model_validate(content).check() if lines else experiment), lines


def _run(
    experiment: Experiment,
    folder: Path,
    device: str,
    jobs: int | None,
    all_methods: bool,
    *,
    dry_run: bool,
    force: bool,
) -> int:
    # These import torch, for which a message about a wrong option should not wait.
    from bench.cache.store import default_store
    from bench.execution.executors import (
        DistributedExecutor,
        LocalExecutor,
        core_count,
        default_jobs,
        silence_libraries,
    )
    from bench.execution.jobs import execute
    from bench.execution.plan import Plan
    from bench.execution.progress import Progress
    from bench.execution.writing import drop_policies, write_results

    silence_libraries()
    distributed.initialize(device)
    # A file has no width to fit into; this is wide enough for the tables.
    width = None if sys.stdout.isatty() else 140
    console = Console(highlight=False, width=width, quiet=not distributed.is_main())
    started = time.time()
    small = all(task.has_small_model for task in experiment.task_objects.values())
    store = default_store()
    # Several processes that train each model together do one job at a time.
    workers = 1 if distributed.is_distributed() else jobs or default_jobs(device, small)
    # Before models are downloaded.
    estimates = check_requirements(
        experiment, device, workers, store.root, console, dry_run=dry_run, force=force
    )
    if dry_run:
        return 0
    experiment, lines = fit_options(experiment)
    for line in lines:
        console.print(f"  {line}", soft_wrap=True, markup=False)
    check_writable(store.root)
    plan = Plan.of(experiment, store, device)
    if not force:
        check_disk(estimates, plan, store.root)
    if unsuited := read_data(plan, console):
        if not all_methods:
            raise UserError(next(iter(unsuited.values())))
        console.print(f"  left out, because the data lacks their feedback: {', '.join(unsuited)}")
        suited = [name for name in experiment.methods if name not in unsuited]
        plan = Plan.of(narrow(experiment, methods=suited), store, device)
    # Small models are no faster with more threads, and give the same numbers with any `jobs`.
    large = any(map(is_large, experiment.task_objects.values()))
    threads = max(1, core_count() // workers) if large else 1
    executor: LocalExecutor | DistributedExecutor = (
        DistributedExecutor() if distributed.is_distributed() else LocalExecutor(workers, threads)
    )
    # All processes must have looked at the cache before one of them changes it.
    distributed.all_gather(None)
    console.print(f"[bold]prefrontier[/] {experiment.name} on {device}, {executor.describe()}")
    for line in plan.lines():
        console.print(f"  {line}", soft_wrap=True)
    if plan.experiment.contrasts:
        console.print(f"  {contrasts_line(plan.experiment)}", soft_wrap=True, markup=False)
    try:
        problems = execute(plan, executor, Progress(console, executor.jobs))
    except KeyboardInterrupt:
        console.print("interrupted: finished work is kept; the same command resumes the run")
        return 130
    distributed.finalize()
    if not distributed.is_main():
        return 1 if problems else 0
    kept = write_results(plan, problems, folder, started, command_line())
    drop_policies(plan, kept)
    judge_status = run_llm_judge(experiment, folder, store.root, console)
    return max(show(folder, console, len(problems)), judge_status)


def contrasts_line(experiment: Experiment) -> str:
    """Return the declared contrasts, and how many seeds a verdict needs where there are fewer."""
    from bench.analysis.statistics import seeds_for_verdict

    pairs = [" vs ".join(pair) for pair in experiment.contrasts]
    # Holm corrects for the contrasts of all tasks together.
    needed = seeds_for_verdict(len(pairs) * len(experiment.tasks))
    too_few = f"; a verdict needs {needed} seeds, not {experiment.seeds}"
    return f"contrasts: {', '.join(pairs)}{too_few if experiment.seeds < needed else ''}"


def run_llm_judge(experiment: Experiment, folder: Path, cache: Path, console: Console) -> int:
    """Let a language model judge, if the experiment names one; return the exit status.

    If it cannot be reached, the report is made without it.
    """
    from bench.judging.folder import judge_folder

    if experiment.llm_judge is None:
        return 0
    try:
        return judge_folder(folder, experiment.llm_judge, cache, console)
    except UserError as problem:
        console.print(f"[red]not judged[/]: {escape(str(problem))}", soft_wrap=True)
    except KeyboardInterrupt:
        console.print("not judged: interrupted; the answers are kept")
    return 1


def read_data(plan: Plan, console: Console) -> dict[str, str]:
    """Read the tasks' recorded data and print a summary.

    Returns:
        The methods that cannot learn from the data, with the reason.

    Raises:
        UserError: The data cannot be used.
    """
    unsuited = {}
    by_task = {pipeline.name: pipeline for pipeline in plan.pipelines}
    for name, pipeline in by_task.items():
        pipeline.check_sampler()
        for line in pipeline.read_data():
            console.print(f"  {line}", soft_wrap=True, markup=False)
        if pipeline.task.feedback_kinds() is not None:
            continue
        available = DERIVABLE[pipeline.feedback_kind]
        for setting in plan.experiment.settings(name):
            where = f"tasks.{name}.options.data"
            try:
                check_feedback(where, available, setting.name, setting.method)
            except UserError as problem:
                unsuited[setting.name] = str(problem)
    return unsuited


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


def command_line() -> str:
    """Return the command line of this process, in a form that a shell accepts."""
    return shlex.join(["prefrontier", *sys.argv[1:]])


def resolve_device(device: str) -> str:
    """Return the device to use; auto is a CUDA GPU if there is one, else the CPU.

    Raises:
        UserError: The device is unknown or not available.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device: unknown device '{device}'; allowed: auto, cpu, cuda")
    if device == "cpu":
        return "cpu"
    if not distributed.is_distributed():
        # Trainers use all GPUs that they see, which multiplies the batch size by their number.
        first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
        os.environ["CUDA_VISIBLE_DEVICES"] = first
    import torch

    available = torch.cuda.is_available()
    if device == "auto":
        return "cuda" if available else "cpu"
    if not available:
        raise UserError("--device: there is no CUDA device here; allowed: auto, cpu")
    return "cuda"

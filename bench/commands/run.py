"""`prefrontier bench`: from an experiment to a report."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from bench.cache.files import check_writable
from bench.config.catalog import left_out
from bench.config.experiment import Experiment
from bench.config.files import load_experiment
from bench.config.narrowing import narrow
from bench.config.settings import check_feedback
from bench.errors import UserError
from bench.pipeline.sources import needs_hub
from bench.tasks.sizes import SIZES
from methods.core.feedback import DERIVABLE
from methods.core.models import distributed

if TYPE_CHECKING:
    from bench.execution.plan import Plan

# Embedded sizes whose learning rates are a GPU's.
FOR_A_GPU = ("10M", "50M", "150M")
# Bytes of weights below which a model is a toy.
TOY = 20 * 2**20


def run_bench(
    source: str,
    *,
    data: str = "",
    model: str = "",
    methods: list[str],
    tasks: list[str],
    seeds: int | None,
    jobs: int | None,
    device: str,
    out: Path | None,
) -> int:
    """Run an experiment and write its results.

    Args:
        source: A built-in experiment's name or a file; by default what suits data and model.
        data: Preferences for the experiment's recorded task.
        model: The model of that task.
        methods: Only these methods; all of the experiment by default.
        tasks: Only these tasks.
        seeds: How many seeds.
        jobs: Processes side by side.
        device: "auto", "cpu" or "cuda".
        out: The results folder.

    Returns:
        The exit status: 1 if something failed, 130 if it was interrupted.

    Raises:
        UserError: The input is not valid.
    """
    experiment = load_experiment(source or built_in(data, model), data=data, model=model)
    if seeds is not None and seeds < 1:
        raise UserError(f"--seeds: must be 1 or more, not {seeds}")
    if jobs is not None and jobs < 1:
        raise UserError(f"--jobs: must be 1 or more, not {jobs}")
    experiment = narrow(experiment, tasks=tasks, methods=methods, seeds=seeds)
    for name, why in left_out(methods).items():
        print(f"{name} is left out: it cannot be imported: {why}", file=sys.stderr)
    folder = out or Path("results") / experiment.name
    check_writable(folder)
    if not any(map(needs_hub, experiment.task_objects.values())):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    return _run(experiment, folder, resolve_device(device), jobs, "all" in methods)


def built_in(data: str, model: str) -> str:
    """Return the experiment that is run where none is named: learning rates suit the model."""
    if not data:
        return "default"
    if not model or model in SIZES:
        return "recorded_gpu" if model in FOR_A_GPU else "recorded"
    weights = [file.stat().st_size for file in Path(model).glob("*.safetensors")]
    return "recorded" if weights and sum(weights) < TOY else "pretrained"


def fit_options(experiment: Experiment) -> tuple[Experiment, list[str]]:
    """Return the experiment with options that the tasks' models make necessary.

    Returns:
        The experiment, and a line for each option that was changed.
    """
    from bench.pipeline.registry import pipeline_class

    content, lines = experiment.model_dump(), []
    for name, task in experiment.task_objects.items():
        for option, value in pipeline_class(task).fit_options(task).items():
            content["tasks"][name]["options"][option] = value
            lines.append(f"{name}: {option} is {value}, half of what the model takes")
    return (Experiment.model_validate(content).check() if lines else experiment), lines


def _run(
    experiment: Experiment, folder: Path, device: str, jobs: int | None, all_methods: bool
) -> int:
    # Imported here: these bring in torch, and a mistake in the options should not wait for it.
    from bench.cache.store import default_store
    from bench.execution.executors import (
        DistributedExecutor,
        LocalExecutor,
        default_jobs,
        silence_libraries,
    )
    from bench.execution.jobs import execute
    from bench.execution.plan import Plan
    from bench.execution.progress import Progress
    from bench.execution.writing import write_results

    silence_libraries()
    distributed.initialize(device)
    # Without a terminal to fit into, tables are given the room that they need.
    width = None if sys.stdout.isatty() else 140
    console = Console(highlight=False, width=width, quiet=not distributed.is_main())
    started = time.time()
    experiment, lines = fit_options(experiment)
    for line in lines:
        console.print(f"  {line}", soft_wrap=True, markup=False)
    store = default_store()
    check_writable(store.root)
    plan = Plan.of(experiment, store, device)
    if unsuited := read_data(plan, console):
        if not all_methods:
            raise UserError(next(iter(unsuited.values())))
        console.print(f"  left out, as the data lack their feedback: {', '.join(unsuited)}")
        suited = [name for name in experiment.methods if name not in unsuited]
        plan = Plan.of(narrow(experiment, methods=suited), store, device)
    executor: LocalExecutor | DistributedExecutor = (
        DistributedExecutor()
        if distributed.is_distributed()
        else LocalExecutor(jobs or experiment.jobs or default_jobs(device))
    )
    # Nothing is made before all processes have seen what there is.
    distributed.all_gather(None)
    console.print(f"[bold]prefrontier[/] {experiment.name} on {device}, {executor.describe()}")
    for line in plan.lines():
        console.print(f"  {line}", soft_wrap=True)
    try:
        problems = execute(plan, executor, Progress(console, executor.jobs))
    except KeyboardInterrupt:
        console.print("interrupted: what is done is kept; the same command resumes the run")
        return 130
    distributed.finalize()
    if not distributed.is_main():
        return 1 if problems else 0
    write_results(plan, problems, folder, started, command_line())
    judge_status = run_llm_judge(experiment, folder, store.root, console)
    return max(show(folder, console, len(problems)), judge_status)


def run_llm_judge(experiment: Experiment, folder: Path, cache: Path, console: Console) -> int:
    """Let the language model judge, if the experiment names one; return the exit status.

    One that cannot be reached does not take the report with it.
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
    """Read what comes from elsewhere and print a summary of it.

    Returns:
        The methods that cannot learn from the data, each with the reason.

    Raises:
        UserError: The data cannot be used.
    """
    unsuited = {}
    for name, pipeline in {pipeline.name: pipeline for pipeline in plan.pipelines}.items():
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
    """Build the report, print the main tables and the report's path; return the exit status."""
    from bench.report.build import build_report
    from bench.report.terminal import terminal_tables

    report = build_report(folder)
    for table in terminal_tables(folder):
        console.print(table)
    if failures:
        console.print(f"[red]{failures} runs failed[/]: the report says which, and why")
    console.print(f"report: {report}", soft_wrap=True)
    return 1 if failures else 0


def command_line() -> str:
    """Return the command as the user may repeat it."""
    return shlex.join(["prefrontier", *sys.argv[1:]])


def resolve_device(device: str) -> str:
    """Return the device to use: auto is a CUDA GPU where there is one, else the CPU.

    Raises:
        UserError: The device is unknown, or there is none.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device: unknown device '{device}'; allowed: auto, cpu, cuda")
    if device == "cpu":
        return "cpu"
    if not distributed.is_distributed():
        # Trainers would use all GPUs that they see, and multiply the batch by their number.
        first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
        os.environ["CUDA_VISIBLE_DEVICES"] = first
    import torch

    available = torch.cuda.is_available()
    if device == "auto":
        return "cuda" if available else "cpu"
    if not available:
        raise UserError("--device: there is no CUDA device here; allowed: auto, cpu")
    return "cuda"

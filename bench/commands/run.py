"""`prefrontier bench`: from an experiment to a report."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from bench.config.catalog import left_out
from bench.errors import UserError
from bench.config.experiment import Experiment, check_feedback, load_experiment, narrow
from bench.pipeline.base_model import SIZES
from bench.pipeline.sources import find_model, needs_hub
from bench.tasks.recorded import Recorded
from methods.core.models import distributed
from methods.core.feedback import GIVES

if TYPE_CHECKING:
    from bench.execution.plan import Plan

# Embedded sizes whose learning rates are a GPU's; bytes of weights below which a model is a toy.
FOR_A_GPU, TOY = ("10M", "50M", "150M"), 20 * 2**20


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
    """Run the experiment and write its results; return the exit status (1: something failed)."""
    experiment = load_experiment(source or built_in(data, model), data=data, model=model)
    if seeds is not None and seeds < 1:
        raise UserError(f"--seeds: must be 1 or more, not {seeds}")
    if jobs is not None and jobs < 1:
        raise UserError(f"--jobs: must be 1 or more, not {jobs}")
    experiment = narrow(experiment, tasks=tasks, methods=methods, seeds=seeds)
    for name, why in left_out(methods).items():
        print(f"{name} is left out, for it cannot be imported: {why}", file=sys.stderr)
    folder = out or Path("results") / experiment.name
    check_writable(folder)
    if not any(map(needs_hub, experiment.worlds.values())):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    return _run(experiment, folder, resolve_device(device), jobs, "all" in methods)


def built_in(data: str, model: str) -> str:
    """Return which experiment is run where none is named: learning rates go by the model's size."""
    if not data:
        return "default"
    if not model or model in SIZES:
        return "recorded_gpu" if model in FOR_A_GPU else "recorded"
    weights = [file.stat().st_size for file in Path(model).glob("*.safetensors")]
    return "recorded" if weights and sum(weights) < TOY else "pretrained"


def within_reach(experiment: Experiment) -> tuple[Experiment, list[str]]:
    """Return the experiment with responses that leave half of what a model takes to the prompt.

    And what there is to say of that: nothing where the models take enough.
    """
    from bench.pipeline.recorded_feedback import positions_of

    content, said = experiment.model_dump(), []
    for name, task in experiment.worlds.items():
        if not isinstance(task, Recorded) or not (source := find_model(task.model)).folder:
            continue
        half = positions_of(source.folder) // 2
        if task.response_tokens > half:
            content["tasks"][name]["dials"]["response_tokens"] = half
            said.append(f"{name}: responses are cut at {half} tokens, half of what the model takes")
    return (Experiment.model_validate(content).check() if said else experiment), said


def _run(
    experiment: Experiment, folder: Path, device: str, jobs: int | None, everything: bool
) -> int:
    # Imported here: these bring in torch, and a mistake in the options should not wait for it.
    from bench.execution.tables import write_results
    from bench.execution.plan import Plan, default_jobs, default_store, execute
    from bench.execution.executors import Together, Workers, quiet

    quiet()
    distributed.join(device)
    # Without a terminal to fit into, tables are given the room that they need.
    width = None if sys.stdout.isatty() else 140
    console = Console(highlight=False, width=width, quiet=not distributed.is_main())
    started = time.time()
    experiment, said = within_reach(experiment)
    for line in said:
        console.print(f"  {line}", soft_wrap=True, markup=False)
    store = default_store()
    check_writable(store.root)
    plan = Plan.of(experiment, store, device)
    if unsuited := read_data(plan, console):
        if not everything:
            raise UserError(next(iter(unsuited.values())))
        console.print(f"  left out, for the data do not give it: {', '.join(unsuited)}")
        rest = [name for name in experiment.methods if name not in unsuited]
        plan = Plan.of(narrow(experiment, methods=rest), store, device)
    workers = (
        Together()
        if distributed.together()
        else Workers(jobs or experiment.jobs or default_jobs(device))
    )
    # Nothing is made before all have seen what there is.
    distributed.gathered(None)
    how = f"{distributed.count()} together" if distributed.together() else f"{workers.jobs} at a time"
    console.print(f"[bold]prefrontier[/] {experiment.name} on {device}, {how}")
    for line in plan.lines():
        console.print(f"  {line}", soft_wrap=True)
    from bench.execution.progress import Progress

    try:
        problems = execute(plan, workers, Progress(console, workers.jobs))
    except KeyboardInterrupt:
        console.print("interrupted: what is done is kept; the same command goes on from here")
        return 130
    distributed.leave()
    if not distributed.is_main():
        return 1 if problems else 0
    write_results(plan, problems, folder, started, command_line())
    unanswered = ask_judge(experiment, folder, store.root, console)
    return max(show(folder, console, len(problems)), unanswered)


def ask_judge(experiment: Experiment, folder: Path, cache: Path, console: Console) -> int:
    """Let the language model judge, if one is asked for; return the exit status.

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
    """Read what comes from elsewhere and say what was found; return which methods it does not suit.

    Each with the reason. Raises UserError where the data do not do.
    """
    unsuited = {}
    for name, world in {w.name: w for w in plan.worlds}.items():
        for line in world.read_data():
            console.print(f"  {line}", soft_wrap=True, markup=False)
        if world.task.scored_by == "gold":
            continue
        for method, own, _ in plan.experiment.settings(name):
            try:
                check_feedback(f"tasks.{name}.dials.data", GIVES[world.asked], method, own)
            except UserError as problem:
                unsuited[method] = str(problem)
    return unsuited


def show(folder: Path, console: Console, failures: int) -> int:
    """Build the report, print the table and where the report is; return the exit status."""
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


def check_writable(folder: Path) -> None:
    """Make the folder; raise a UserError where it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"{folder}: cannot be written to: {error.strerror}") from None


def resolve_device(device: str) -> str:
    """Return the device to use: auto is a CUDA GPU where there is one, else the CPU."""
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device: unknown device '{device}'; allowed: auto, cpu, cuda")
    if device == "cpu":
        return "cpu"
    if not distributed.together():
        # Trainers would take all that they see for one batch after another's size.
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
        os.environ["CUDA_VISIBLE_DEVICES"] = seen
    import torch

    available = torch.cuda.is_available()
    if device == "auto":
        return "cuda" if available else "cpu"
    if not available:
        raise UserError("--device: there is no CUDA device here; allowed: auto, cpu")
    return "cuda"

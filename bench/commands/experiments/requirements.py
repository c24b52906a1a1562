"""What an experiment takes, said before it starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bench.cache.files import check_can_be_made
from bench.config.experiment import Experiment
from bench.config.llm_judge import LLMJudge
from bench.errors import UserError
from bench.execution.executors.on_ray import RayExecutor
from bench.execution.executors.on_slurm import SlurmExecutor
from bench.execution.scheduling.job import Executor
from bench.judging.template import load_template
from bench.requirements.adapters import check_loading
from bench.requirements.disk import Models, disk_of
from bench.requirements.estimate import LARGE, Estimate, estimates, large_tasks, models_of
from bench.requirements.machine import Machine, free_disk, this_machine
from bench.requirements.shape import parameters_of
from bench.requirements.words import does_not_fit, needs_table, summary
from bench.tasks.recorded import Recorded
from methods.core.models import distributed

if TYPE_CHECKING:
    from bench.execution.plan import Plan

# The stages whose artifact is a model of the policies' size.
MODEL_STAGES = ("base_model", "judge", "sft", "reward_model")


def check_requirements(
    experiment: Experiment,
    device: str,
    executor: Executor,
    cache: Path,
    console: Console,
    *,
    dry_run: bool,
    force: bool,
) -> list[Estimate]:
    """Say what the tasks with large models take; nothing where there are none.

    Args:
        experiment: What is to be run.
        device: "cpu" or "cuda".
        executor: What will run the jobs.
        cache: Folder of the cache.
        console: Where to say it.
        dry_run: Whether nothing else will be done. Each stage and each setting is then shown, and
            the disk is checked too, where all that the cache holds counts as free.
        force: Whether not to fail.

    Returns:
        The estimates.

    Raises:
        UserError: Something does not seem to fit.
    """
    tasks = experiment.task_objects.items()
    check_can_be_made(cache)
    if experiment.llm_judge:
        check_judge(experiment.llm_judge)
    for name, task in tasks:
        check_loading(name, task, None if dry_run else device)
    recorded = [(name, task) for name, task in tasks if isinstance(task, Recorded)]
    models = [(name, model) for name, task in recorded for model in models_of(task)]
    notes = [
        f"{name}: memory and time are not known: the config of {model} cannot be read"
        for name, model in models
        if not parameters_of(model)
    ] + [
        f"{name}: memory and time are not estimated for the task {task.name}"
        for name, task in tasks
        if not isinstance(task, Recorded)
        and any((parameters_of(model) or LARGE) >= LARGE for model in models_of(task))
    ]
    for line in notes:
        console.print(f"  {line}", soft_wrap=True, markup=False)
    # A machine is measured only if that matters.
    if not large_tasks(experiment):
        if dry_run and not notes:
            console.print("nothing to estimate: models below 50M parameters take little")
        return []
    machine = machine_of(executor, device, cache)
    if machine is None:
        console.print("  memory and time of large models are not estimated: SLURM runs them")
        return []
    # Each GPU is for one process.
    processes = distributed.world_size() if device == "cpu" else 1
    # A cluster starts as many beside each other as fit.
    jobs = 1 if isinstance(executor, RayExecutor) else executor.workers
    found = estimates(experiment, machine, jobs, processes)
    for estimate in found:
        console.print(f"  {summary(estimate)}", soft_wrap=True, markup=False)
        if dry_run:
            console.print(needs_table(estimate))
    for estimate in found:
        if not (estimate.fits if dry_run else estimate.fits_in_memory) and not force:
            raise UserError(does_not_fit(estimate))
    return found


def check_judge(judge: LLMJudge) -> None:
    """Raise UserError if a judge has no template, or no address or key that can be one."""
    load_template(judge.template)
    for needed in (lambda: judge.endpoint, judge.key):
        needed()


def machine_of(executor: Executor, device: str, cache: Path) -> Machine | None:
    """Return what a machine has that runs jobs; None if only a queue leads to it.

    Args:
        executor: What will run the jobs.
        device: "cpu" or "cuda".
        cache: Folder of the cache.
    """
    if isinstance(executor, SlurmExecutor):
        return None
    if isinstance(executor, RayExecutor):
        return executor.call(this_machine, device, cache)
    return this_machine(device, cache)


def check_disk(found: list[Estimate], plan: Plan, cache: Path) -> None:
    """Check that the models that have yet to be made fit on the disk.

    Args:
        found: The estimates, which fit in memory.
        plan: What is to be run.
        cache: Folder of the cache.

    Raises:
        UserError: They do not.
    """
    for estimate in found:
        saved = disk_of(estimate.work, missing_models(plan, estimate.name), estimate.jobs)
        machine = replace(estimate.work.machine, disk=free_disk(cache), cached=0.0)
        left = replace(estimate, saved=saved, work=replace(estimate.work, machine=machine))
        if not left.fits_on_disk:
            raise UserError(does_not_fit(left))


def missing_models(plan: Plan, task: str) -> Models:
    """Return how many models of a task have yet to be made."""
    pipelines = [pipeline for pipeline in plan.pipelines if pipeline.name == task]
    stages = {p.key(s) for p in pipelines for s in p.missing() if s in MODEL_STAGES}
    runs = [run for run in plan.unfinished() if run.pipeline.name == task]
    return Models(len(stages), len({run.train_key for run in runs if not run.trained()}))

"""What an experiment takes, said before it starts."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from bench.config.experiment import Experiment
from bench.errors import UserError
from bench.requirements.estimate import Estimate, estimates, large_tasks
from bench.requirements.machine import this_machine
from bench.requirements.shape import parameters_of
from bench.requirements.words import does_not_fit, needs_table, summary


def check_requirements(
    experiment: Experiment,
    device: str,
    jobs: int,
    cache: Path,
    console: Console,
    *,
    table: bool,
    force: bool,
) -> list[Estimate]:
    """Say what the tasks with large models take; nothing where there are none.

    Args:
        experiment: What is to be run.
        device: "cpu" or "cuda".
        jobs: How many trainings run at once.
        cache: Folder of the cache.
        console: Where to say it.
        table: Whether to show each stage and each setting.
        force: Whether not to fail.

    Returns:
        The estimates.

    Raises:
        UserError: Something does not seem to fit.
    """
    for name, task in experiment.task_objects.items():
        model = getattr(task, "model", "")
        if model and parameters_of(model) is None:
            line = f"{name}: what it takes is not known: the config of {model} cannot be had"
            console.print(f"  {line}", soft_wrap=True, markup=False)
    # A machine is measured only if that matters.
    if not large_tasks(experiment):
        if table:
            console.print("nothing to estimate: models below 50M parameters take little")
        return []
    found = estimates(experiment, this_machine(device, cache), jobs)
    for estimate in found:
        console.print(f"  {summary(estimate)}", soft_wrap=True, markup=False)
        if table:
            console.print(needs_table(estimate))
    for estimate in found:
        if not estimate.fits and not force:
            raise UserError(does_not_fit(estimate))
    return found

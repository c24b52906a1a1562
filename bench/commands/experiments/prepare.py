"""From the command line's options to jobs: what is to be done, and what that takes."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console

from bench.cache.default import default_store
from bench.commands.experiments.executor import executor_for
from bench.commands.experiments.options import Options, device_of
from bench.commands.experiments.requirements import check_disk, check_requirements
from bench.config.experiment import Experiment
from bench.config.narrowing import narrow
from bench.config.settings import check_feedback
from bench.errors import UserError
from bench.execution.estimates import Needs, Schedule
from bench.execution.executors.distributed import join
from bench.execution.plan import Plan
from bench.execution.scheduling.job import Executor
from bench.requirements.estimate import is_large
from methods.core.feedback import DERIVABLE
from methods.core.models import distributed


@dataclass(frozen=True)
class Prepared:
    """An experiment that can be run.

    Attributes:
        plan: Its pipelines and runs.
        schedule: Its jobs.
        executor: What will run the jobs.
    """

    plan: Plan
    schedule: Schedule
    executor: Executor


def prepare(experiment: Experiment, options: Options, console: Console) -> Prepared | None:
    """Return what is to be done for an experiment; say what large models take.

    Args:
        experiment: From `experiment_of`.
        options: The command line's.
        console: Where to say it.

    Returns:
        None with `options.dry_run`: all is said then.

    Raises:
        UserError: Data, models or methods cannot be used, or something does not seem to fit.
    """
    device, store = device_of(options, experiment.slurm), default_store()
    join(device)
    executor = executor_for(experiment, device, options, store)
    # Before models are downloaded.
    estimates = check_requirements(
        experiment,
        device,
        executor,
        store.root,
        console,
        dry_run=options.dry_run,
        force=options.force,
    )
    if options.dry_run:
        return None
    experiment, lines = fit_options(experiment)
    for line in lines:
        console.print(f"  {line}", soft_wrap=True, markup=False)
    store.check()
    plan = Plan.of(experiment, store, device)
    if not options.force:
        check_disk(estimates, plan, store.root)
    plan = _suited(plan, options, console)
    large = [name for name, task in experiment.task_objects.items() if is_large(task)]
    machine = f"{device}, {executor.describe()}"
    needs = Needs.of(estimates, large, forced=options.force)
    schedule = Schedule.of(plan, machine=machine, needs=needs)
    check_room(schedule, executor)
    # All processes must have looked at the cache before one of them changes it.
    distributed.all_gather(None)
    return Prepared(plan, schedule, executor)


def check_room(schedule: Schedule, executor: Executor) -> None:
    """Raise UserError if a job needs more than any device has, rather than when its turn comes."""
    for job in {job.memory: job for job in schedule.left()}.values():
        executor.has_room(job, alone=False)


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


def _suited(plan: Plan, options: Options, console: Console) -> Plan:
    """Return the plan without methods that `all` names and the data does not suit."""
    unsuited = read_data(plan, console)
    if not unsuited:
        return plan
    if not options.names_all_methods:
        raise UserError(next(iter(unsuited.values())))
    console.print(f"  left out, because the data lacks their feedback: {', '.join(unsuited)}")
    suited = [name for name in plan.experiment.methods if name not in unsuited]
    return Plan.of(narrow(plan.experiment, methods=suited), default_store(), plan.device)


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

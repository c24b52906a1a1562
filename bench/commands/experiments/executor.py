"""The executor that runs an experiment's jobs."""

from __future__ import annotations

from bench.cache.store import SLURM, Store
from bench.commands.experiments.options import Options
from bench.config.experiment import Experiment
from bench.execution.executors.devices import core_count, default_jobs, local_devices
from bench.execution.executors.distributed import DistributedExecutor
from bench.execution.executors.local import LocalExecutor
from bench.execution.executors.on_ray import RayExecutor
from bench.execution.executors.on_slurm import SlurmExecutor
from bench.execution.executors.ray_cluster import alive_nodes, connect, threads_of
from bench.execution.jobs import made_already
from bench.execution.scheduling.job import Executor, Job
from bench.requirements.estimate import is_large
from methods.core.models import distributed


def executor_for(experiment: Experiment, device: str, options: Options, store: Store) -> Executor:
    """Return the executor for an experiment.

    Args:
        experiment: The experiment.
        device: "cpu" or "cuda".
        options: The command line's.
        store: Where artifacts are kept.

    Raises:
        UserError: The executor is not installed, or cannot be reached.
    """
    jobs = options.jobs or experiment.jobs
    small = all(task.has_small_model for task in experiment.task_objects.values())
    # Small models are no faster with more threads, and give the same numbers with any `jobs`.
    large = any(map(is_large, experiment.task_objects.values()))
    if options.executor == "ray":
        return _on_ray(device, jobs, options.address, small_models=small, large_models=large)
    if options.executor == "slurm":
        threads = experiment.slurm.cpus if large else 1
        folder = store.root / SLURM
        return SlurmExecutor(experiment.slurm, folder, device, threads, jobs, is_made=is_made)
    if distributed.is_distributed():
        # Processes that train each model together do one job at a time.
        return DistributedExecutor()
    devices = local_devices(device)
    workers = jobs or default_jobs(device, small, len(devices))
    return LocalExecutor(workers, max(1, core_count() // workers) if large else 1, devices)


def _on_ray(
    device: str, jobs: int | None, address: str, *, small_models: bool, large_models: bool
) -> RayExecutor:
    connect(address)
    threads = threads_of(alive_nodes(), device, jobs) if large_models else 1
    return RayExecutor(device, threads, small_models, jobs, disconnects=True, is_made=is_made)


def is_made(job: Job) -> bool:
    """Return whether what a job makes is in the cache, as this process sees it."""
    return bool(made_already([job]))

"""What the command line says of an experiment, and the experiment that it makes of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.config.catalog import ALL, not_in_all
from bench.config.contrasts import declare
from bench.config.experiment import MOST_JOBS, MOST_SEEDS, Experiment
from bench.config.files import load_experiment
from bench.config.narrowing import narrow
from bench.config.slurm import Slurm
from bench.config.validation import check_count
from bench.errors import UserError
from bench.execution.watching.trackers import check_trackers
from bench.pipeline.sources import needs_hub
from bench.requirements.machine import check_visible_devices
from bench.requirements.presets import built_in, limited_to_data
from methods.core.models import distributed


@dataclass(frozen=True)
class Options:
    """An experiment, and what of it is run.

    Attributes:
        source: A built-in experiment's name or a file; by default one that suits data and model.
        data: Preferences for the experiment's recorded task.
        model: The model of that task.
        methods: Only these methods; empty for all of the experiment.
        tasks: Only these tasks; empty for all of the experiment.
        contrasts: Contrasts besides those of the experiment, such as "mine,dpo".
        seeds: Number of seeds; None for that of the experiment.
        jobs: Number of parallel worker processes; None for that of the experiment.
        device: "auto", "cpu" or "cuda".
        executor: Where jobs run: "local", "ray" or "slurm".
        address: Of the Ray cluster; "" for one of this machine alone.
        out: The results folder; None for results/NAME.
        keep: Which policies stay on disk; "" for what the experiment says.
        dry_run: Whether to print only what large models take.
        force: Whether to run what does not seem to fit into memory or on disk.
        log_to: Trackers that training curves are sent to.
    """

    source: str = ""
    data: str = ""
    model: str = ""
    methods: Sequence[str] = ()
    tasks: Sequence[str] = ()
    contrasts: Sequence[str] = ()
    seeds: int | None = None
    jobs: int | None = None
    device: str = "auto"
    executor: str = "local"
    address: str = ""
    out: Path | None = None
    keep: str = ""
    dry_run: bool = False
    force: bool = False
    log_to: Sequence[str] = ()

    @property
    def names_all_methods(self) -> bool:
        """Whether every method is run that can be."""
        return ALL in self.methods


def experiment_of(options: Options) -> Experiment:
    """Return the experiment that is to be run.

    Raises:
        UserError: An option or the experiment is not valid.
    """
    check_count("--seeds", options.seeds, MOST_SEEDS)
    check_count("--jobs", options.jobs, MOST_JOBS)
    check_trackers(options.log_to)
    check_executor(options)
    data, model, methods = options.data, options.model, list(options.methods)
    preset = options.source or built_in(data, model, lambda: device_of(options))
    experiment = load_experiment(preset, data=data, model=model)
    if not options.source and preset.startswith("pretrained"):
        experiment = limited_to_data(experiment)
    experiment = narrow(
        experiment,
        tasks=list(options.tasks),
        methods=methods,
        seeds=options.seeds,
        keep=options.keep,
    )
    experiment = declare(experiment, options.contrasts, methods)
    for name, reason in not_in_all(methods).items():
        print(f"{name} is left out: it cannot be imported: {reason}", file=sys.stderr)
    stay_offline([experiment])
    return experiment


def stay_offline(experiments: Iterable[Experiment]) -> None:
    """Keep libraries from asking the hub, unless a task needs it or the user says otherwise."""
    tasks = [task for experiment in experiments for task in experiment.task_objects.values()]
    if not any(map(needs_hub, tasks)):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")


def check_executor(options: Options) -> None:
    """Raise UserError if there is no such executor, or if it cannot have the other options."""
    allowed = ("local", "ray", "slurm")
    if options.executor not in allowed:
        raise UserError(
            f"--executor: unknown executor '{options.executor}'; allowed: {', '.join(allowed)}"
        )
    if options.address and options.executor != "ray":
        raise UserError("--address: is of a Ray cluster; --executor ray must be set too")
    if options.executor != "local" and distributed.is_distributed():
        raise UserError(
            f"--executor: {options.executor} starts processes itself; start the command without "
            "accelerate launch"
        )


def device_of(options: Options, slurm: Slurm | None = None) -> str:
    """Return the device that jobs run on, be it of other machines.

    Args:
        options: The command line's.
        slurm: What each job asks of SLURM; by default no GPU.

    Raises:
        UserError: The device is unknown or not available there.
    """
    if options.executor == "local":
        return resolve_device(options.device)
    check_device(options.device)
    if options.device == "cpu":
        return "cpu"
    if options.executor == "slurm":
        there, lacks = bool(slurm and slurm.gpus), "slurm.gpus is 0"
    else:
        from bench.execution.executors.ray_cluster import alive_nodes, connect

        connect(options.address)
        there = any(node.gpus >= 1 for node in alive_nodes())
        lacks = "no node of the Ray cluster has a GPU"
    if options.device == "cuda" and not there:
        raise UserError(f"--device: {lacks}; allowed: auto, cpu")
    return "cuda" if there else "cpu"


def check_device(device: str) -> None:
    """Raise UserError if there is no such device."""
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device: unknown device '{device}'; allowed: auto, cpu, cuda")


def resolve_device(device: str) -> str:
    """Return the device to use; auto is a CUDA GPU if there is one, else the CPU.

    Raises:
        UserError: The device is unknown or not available.
    """
    check_device(device)
    if device == "cpu":
        return "cpu"
    check_visible_devices()
    import torch

    available = torch.cuda.is_available()
    if device == "auto":
        return "cuda" if available else "cpu"
    if not available:
        raise UserError("--device: there is no CUDA device here; allowed: auto, cpu")
    if not distributed.is_distributed():
        # Here one GPU is enough; workers are given theirs.
        torch.cuda.set_device(0)
    return "cuda"

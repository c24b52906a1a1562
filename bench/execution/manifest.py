"""The manifest of a run: what it takes to assess and repeat it, and where its models are."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.cache.keys import LIBRARIES
from bench.config.catalog import find_method, learns_from, title
from bench.execution.plan import Plan
from bench.execution.run import Run
from bench.pipeline.base import Pipeline
from bench.tasks.base import Task
from methods.core.models import distributed

ROOT = Path(__file__).parents[2]


def manifest(plan: Plan, kept: list[Run], started: float, command: str) -> dict[str, Any]:
    """Return what it takes to assess and repeat a run, and where its models are.

    Args:
        plan: What was run.
        kept: The runs whose policies stay on disk.
        started: When the command was started, seconds since the epoch.
        command: The command as the user may repeat it.
    """
    experiment = plan.experiment
    return {
        "name": experiment.name,
        **circumstances(started, plan.device, command),
        "runs": len(plan.runs),
        "cached_runs": plan.cached,
        "tasks": {pipeline.name: _describe_task(pipeline) for pipeline in plan.pipelines},
        "methods": {name: describe_method(name) for name in experiment.methods},
        "cache": "PREFRONTIER_CACHE, or .cache where the command was run",
        "policies": [run.identity | {"folder": f"policy/{run.train_key}"} for run in kept],
        "stages": [
            {
                "task": pipeline.name,
                "seed": pipeline.seed,
                "stage": stage,
                "folder": f"{stage}/{pipeline.key(stage)}",
            }
            for pipeline in plan.pipelines
            for stage in pipeline.stages
        ],
        "artifacts": plan.measured_artifacts(),
    }


def _describe_task(pipeline: Pipeline) -> dict[str, Any]:
    task = pipeline.task
    return {
        "title": pipeline.name,
        "task": task.name,
        "about": (type(task).__doc__ or pipeline.name).splitlines()[0],
        "enumerable": task.enumerable,
        "reward_source": task.reward_source,
        "ends": pipeline.ends,
        "options": dataclasses.asdict(task),
        "local_sources": local_sources(task),
        **pipeline.describe(),
    }


def local_sources(task: Task) -> list[str]:
    """Return the data and models of a task that are files or folders, as the task names them."""
    return [name for name in task.external_sources() if Path(name).expanduser().exists()]


def circumstances(started: float, device: str, command: str) -> dict[str, Any]:
    """Return when, where and with what a command was run that ends now.

    Args:
        started: When the command was started, seconds since the epoch.
        device: "cpu" or "cuda".
        command: The command as the user may repeat it.
    """
    finished = time.time()
    return {
        "command": command,
        "started": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(started)),
        "finished": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(finished)),
        "seconds": round(finished - started, 1),
        "device": device,
        "processes": distributed.world_size(),
        "hardware": hardware(device),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("prefrontier", *LIBRARIES)},
        "commit": commit(),
    }


def calibration(folder: Path) -> dict[str, Any] | None:
    """Return how often verdicts are right, as measured beside these results, else as committed."""
    for results in (folder.resolve().parent, ROOT / "results"):
        file = results / "calibration" / "summary.json"
        if file.is_file():
            return dict(json.loads(file.read_text("utf-8")))
    return None


def describe_method(name: str) -> dict[str, Any]:
    """Return what a method is and learns from."""
    kind = find_method(name, "methods")
    return {
        "title": title(kind),
        "feedback": learns_from(kind),
        "strength": kind.strength,
        "privileged": kind.privileged,
    }


def hardware(device: str) -> dict[str, Any]:
    """Return processor, cores, memory (GiB) and GPU of this machine."""
    import psutil

    gpu = None
    if device.startswith("cuda"):
        import torch

        # Where jobs run on other machines, this one may have none.
        gpu = torch.cuda.get_device_name(device) if torch.cuda.is_available() else None
    return {
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": math.ceil(psutil.virtual_memory().total / 2**30),
        "gpu": gpu,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def commit() -> str | None:
    """Return the commit of the source tree, marked if it has changes, or None outside of one."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "bench", "methods")
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None

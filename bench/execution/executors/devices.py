"""What this machine has for jobs: cores, and GPUs."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

# Small trainings that share a GPU: each has a CUDA context of its own, of half a gigabyte.
GPU_JOBS = 8


@dataclass(frozen=True)
class Device:
    """A device that runs jobs.

    Attributes:
        gpu: As CUDA_VISIBLE_DEVICES names it; "" for the CPU.
        memory: All of a GPU's memory (bytes).
    """

    gpu: str = ""
    memory: float = 0.0

    def jobs_at_once(self, memory: float, workers: int) -> int:
        """Return how many jobs may be on the device at once.

        Args:
            memory: What each needs (bytes).
            workers: How many run at once on all devices.
        """
        return min(workers, int(1 / self.share(memory) + 1e-9)) if self.gpu else workers

    def share(self, memory: float) -> float:
        """Return what share of a GPU a job takes; over 1 where it does not fit.

        Args:
            memory: What the job needs (bytes); inf is all that there is.
        """
        if not self.gpu:
            return 0.0
        return 1.0 if math.isinf(memory) else max(1 / GPU_JOBS, memory / self.memory)


def local_devices(device: str) -> tuple[Device, ...]:
    """Return the devices of this machine that jobs may use.

    Args:
        device: "cpu" or "cuda".
    """
    if device == "cpu":
        return (Device(),)
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = named.split(",") if named else [str(i) for i in range(torch.cuda.device_count())]
    memories = [
        float(torch.cuda.get_device_properties(i).total_memory)
        for i in range(torch.cuda.device_count())
    ]
    return tuple(Device(name, memory) for name, memory in zip(names, memories, strict=False))


def default_jobs(device: str, small_models: bool = True, gpus: int = 1) -> int:
    """Return as many workers as the machine has cores for; on GPUs a few, or one for large models.

    Args:
        device: "cpu" or "cuda".
        small_models: Whether no model of the experiment keeps a GPU busy by itself.
        gpus: How many GPUs there are.
    """
    if device == "cpu":
        return core_count()
    return min(core_count(), gpus * (GPU_JOBS if small_models else 1))


def core_count() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

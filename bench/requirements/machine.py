"""What this machine has: memory, disk, and how fast it computes."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UserError, shown

# Where Linux says how much memory a container may have and has, and what of it is files that were
# read and may go: their name in the statistics (cgroup version 2, then 1).
LIMITS = (
    (
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory.current",
        "/sys/fs/cgroup/memory.stat",
        "inactive_file",
    ),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
        "total_inactive_file",
    ),
)
# Time of each measurement (s).
MEASURED = 0.1
# Share of the speed of a plain matrix product that a whole training step reaches.
EFFICIENCY = {"cpu": 0.7, "cuda": 0.45}
# Time to launch one layer's kernels, which bounds sampling with small batches on a GPU (s).
LAUNCH = {"cpu": 0.0, "cuda": 0.0008}


# One GPU in CUDA_VISIBLE_DEVICES: its number, or the beginning of its name; -1 for none.
VISIBLE = re.compile(r"-?\d{1,4}|(GPU|MIG)-[\w/-]+|NoDevFiles|")


@dataclass(frozen=True)
class Machine:
    """A device and the disk of the cache.

    Attributes:
        device: "cpu" or "cuda".
        name: As it is shown.
        memory: Memory that is free for a run (bytes).
        total: All memory of the device (bytes).
        disk: Free space where the cache is (bytes).
        speed: Floating-point operations of training and scoring per second.
        bandwidth: Bytes that are read from memory per second.
        launch: Time that a layer takes at least (s).
        cached: What the cache holds already (bytes).
    """

    device: str
    name: str
    memory: float
    total: float
    disk: float
    speed: float
    bandwidth: float
    launch: float = 0.0
    cached: float = 0.0


def check_visible_devices() -> None:
    """Raise UserError if CUDA_VISIBLE_DEVICES names no GPUs: all would be hidden without a word."""
    value = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if not all(VISIBLE.fullmatch(name.strip()) for name in value.split(",")):
        raise UserError(
            f"CUDA_VISIBLE_DEVICES: must be numbers or names of GPUs, such as 0 or GPU-8932f937, "
            f"not {shown(value)}"
        )


def this_machine(device: str, cache: Path) -> Machine:
    """Return what this machine has. Its speed is measured, in a fraction of a second.

    Args:
        device: "cpu" or "cuda".
        cache: Folder of the cache; it need not exist.
    """
    import torch

    if device == "cpu":
        import psutil

        name, total = f"{torch.get_num_threads()} threads", psutil.virtual_memory().total
        memory = free_memory()
    else:
        name = torch.cuda.get_device_properties(device).name
        memory, total = torch.cuda.mem_get_info(device)
    speed, bandwidth = _measured(device)
    return Machine(
        device=device,
        name=name,
        memory=memory,
        total=total,
        disk=free_disk(cache),
        speed=EFFICIENCY[device] * speed,
        bandwidth=bandwidth,
        launch=LAUNCH[device],
        cached=size_of(cache),
    )


def free_disk(folder: Path) -> int:
    """Return the free space where a folder is, or will be (bytes)."""
    place = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(place).free


def size_of(folder: Path) -> int:
    """Return the size of a folder's files (bytes); 0 if it does not exist."""
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            # Another run may remove it at any time.
            with suppress(FileNotFoundError):
                total += (Path(parent) / name).lstat().st_size
    return total


def free_memory(limits: tuple[tuple[str, str, str, str], ...] = LIMITS) -> float:
    """Return the memory that processes may still take (bytes), a container's limit included."""
    import psutil

    free = float(psutil.virtual_memory().available)
    for limit, used, statistics, files in limits:
        try:
            left = int(Path(limit).read_text()) - int(Path(used).read_text())
        except (OSError, ValueError):
            # There is no such file, or it says "max".
            continue
        free = min(free, left + _statistic(Path(statistics), files))
    return free


def _statistic(file: Path, name: str) -> int:
    """Return a number from a file with a name and a number on each line; 0 if it is not there."""
    try:
        numbers = dict(line.split() for line in file.read_text().splitlines())
        return int(numbers.get(name, 0))
    except (OSError, ValueError):
        return 0


def _measured(device: str) -> tuple[float, float]:
    """Return floating-point operations and bytes per second of a matrix product and of reading."""
    import torch

    dtype, width = (torch.float32, 1024) if device == "cpu" else (torch.bfloat16, 8192)
    matrix = torch.ones(width, width, device=device, dtype=dtype)
    numbers = torch.ones(2**24, device=device)

    def run(work: Callable[[], object]) -> float:
        work()
        count, started = 0, time.perf_counter()
        while count == 0 or time.perf_counter() - started < MEASURED:
            work()
            if device != "cpu":
                torch.cuda.synchronize()
            count += 1
        return (time.perf_counter() - started) / count

    product, reading = run(lambda: matrix @ matrix), run(numbers.sum)
    return 2 * width**3 / product, numbers.nbytes / reading

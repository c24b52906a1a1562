"""Memory of a piece of work: the most that it adds, and giving it back afterwards."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from pathlib import Path
from types import TracebackType

from bench.pipeline.base import load_shared_policy, load_shared_reward


class PeakMemory:
    """A context manager that watches how much memory its block adds to what is in use.

    On a CPU this is the process's resident memory, looked at ten times a second. Freed memory that
    the process keeps hides what the block takes: call `release_memory` first. Code of libraries
    does not count, but gaps in the memory that the block frees do: some tens of MB.

    Attributes:
        device: "cpu" watches the process's resident memory, "cuda" torch's allocator.
        interval: Time between two samples of the process's memory (s).
        megabytes: The most memory that was in use above that at the start (MiB).
    """

    def __init__(self, device: str, interval: float = 0.1) -> None:
        self.device, self.interval = device, interval
        self.megabytes = 0.0
        self._before = self._code_before = 0.0
        self._done = threading.Event()
        self._watcher: threading.Thread | None = None

    def __enter__(self) -> PeakMemory:
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(self.device)
            self._before = torch.cuda.memory_allocated(self.device) / 2**20
        else:
            self._before, self._code_before = resident(), library_code()
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._watcher is not None:
            self._done.set()
            self._watcher.join()
            self._sample()
            # A worker shares the libraries' code: it has it before it is seen to have it.
            self.megabytes -= max(0.0, library_code() - self._code_before)
            self.megabytes = max(0.0, self.megabytes)
        else:
            import torch

            peak = torch.cuda.max_memory_allocated(self.device) / 2**20
            self.megabytes = max(0.0, peak - self._before)

    def _watch(self) -> None:
        while not self._done.wait(self.interval):
            self._sample()

    def _sample(self) -> None:
        self.megabytes = max(self.megabytes, resident() - self._before)


def resident() -> float:
    """Return the process's resident memory (MiB)."""
    import psutil

    return float(psutil.Process().memory_info().rss / 2**20)


def library_code() -> float:
    """Return how much of the process's resident memory is code of libraries (MiB)."""
    import psutil

    process = psutil.Process()
    if not hasattr(process, "memory_maps"):  # macOS
        return 0.0
    maps = process.memory_maps()
    return float(sum(part.rss for part in maps if ".so" in Path(part.path).name) / 2**20)


def release_memory() -> None:
    """Drop the models of what has just been done, and give their memory back.

    Models, optimizers and trainers refer to each other in cycles, which keep them in memory until
    they are collected.
    """
    load_shared_policy.cache_clear()
    load_shared_reward.cache_clear()
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    # Only glibc keeps what is freed, and only it has this function.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

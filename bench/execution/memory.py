"""Peak memory of a piece of work: of the process on a CPU, of the allocator on a GPU."""

from __future__ import annotations

import threading
from types import TracebackType


class PeakMemory:
    """A context manager that watches memory while its block runs.

    Attributes:
        device: "cpu" watches the process's resident memory, "cuda" torch's allocator.
        interval: Time between two samples of the process's memory (s).
        megabytes: The most memory that was in use (MiB).
    """

    def __init__(self, device: str, interval: float = 0.1) -> None:
        self.device, self.interval = device, interval
        self.megabytes = 0.0
        self._done = threading.Event()
        self._watcher: threading.Thread | None = None

    def __enter__(self) -> PeakMemory:
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            self._sample()
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
        else:
            import torch

            self.megabytes = torch.cuda.max_memory_allocated(self.device) / 2**20

    def _watch(self) -> None:
        while not self._done.wait(self.interval):
            self._sample()

    def _sample(self) -> None:
        import psutil

        self.megabytes = max(self.megabytes, psutil.Process().memory_info().rss / 2**20)

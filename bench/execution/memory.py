"""Peak memory of a piece of work: of the process on a CPU, of the allocator on a GPU."""

from __future__ import annotations

import threading
from types import TracebackType


class PeakMemory:
    """Watch memory while the block runs; `megabytes` is the most that was in use."""

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
            self._look()
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
            self._look()
        else:
            import torch

            self.megabytes = torch.cuda.max_memory_allocated(self.device) / 2**20

    def _watch(self) -> None:
        while not self._done.wait(self.interval):
            self._look()

    def _look(self) -> None:
        import psutil

        self.megabytes = max(self.megabytes, psutil.Process().memory_info().rss / 2**20)

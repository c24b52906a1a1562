"""Peak memory is what a piece of work adds."""

from __future__ import annotations

import pytest
import torch

from bench.execution.memory import PeakMemory, release_memory

MEGABYTES = 2**20


def filled(megabytes: int) -> torch.Tensor:
    return torch.ones(megabytes * MEGABYTES // 4)


def test_peak_memory_is_above_what_stood_there_before() -> None:
    standing = filled(200)
    with PeakMemory("cpu", interval=0.005) as memory:
        work = filled(100)
        del work
        work = filled(150)
    assert memory.megabytes == pytest.approx(150, abs=20)
    assert len(standing) and len(work)


def test_freed_memory_that_the_process_keeps_does_not_hide_it() -> None:
    # Many small blocks, which the allocator keeps when they are freed.
    blocks = [torch.ones(2**14) for _ in range(3000)]
    del blocks
    release_memory()
    with PeakMemory("cpu", interval=0.005) as memory:
        blocks = [torch.ones(2**14) for _ in range(1600)]
    assert memory.megabytes == pytest.approx(100, abs=20)
    assert blocks

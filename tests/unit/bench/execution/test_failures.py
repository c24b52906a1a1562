"""Errors in one line, with what to do about them."""

from __future__ import annotations

import errno
import re

import pytest
import torch

from bench.execution.failures import MOST_CHARACTERS, OUT_OF_MEMORY, death_text, error_text
from methods.core.training.memory import StepTooLargeError

CUDA = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 139.00 GiB of "
    "which 1.19 GiB is free. Including non-PyTorch memory, this process has 137.00 GiB in use."
)


def test_memory_that_torch_cannot_have_names_the_options_that_save_it() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    ours = StepTooLargeError("out of memory with a micro-batch of 60 tokens")
    for problem in (caught.value, torch.OutOfMemoryError(CUDA), MemoryError(), ours):
        text = error_text(problem)
        assert text.endswith(OUT_OF_MEMORY) and len(text) <= MOST_CHARACTERS
    assert error_text(torch.OutOfMemoryError(CUDA)).startswith(
        "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB: set loading.lora.rank"
    )


def test_a_full_disk_names_the_cache() -> None:
    problem = OSError(errno.ENOSPC, "No space left on device")
    assert "PREFRONTIER_CACHE" in error_text(problem)
    assert "PREFRONTIER_CACHE" not in error_text(OSError(errno.EACCES, "Permission denied"))


def test_a_killed_worker_is_told_from_one_that_crashed() -> None:
    killed = RuntimeError(
        "A worker was terminated. The exit codes of the workers are {SIGKILL(-9)}"
    )
    assert "--jobs 1" in death_text(killed) and "loading.lora.rank" in death_text(killed)
    crashed = RuntimeError(
        "A worker was terminated. The exit codes of the workers are {SIGSEGV(-11)}"
    )
    assert death_text(crashed) == "worker died: SIGSEGV(-11)"
    assert death_text(RuntimeError("pipe closed")) == "worker died: pipe closed"


def test_any_other_error_is_one_line_with_its_begin_and_end() -> None:
    text = error_text(ValueError("first\n" + "x " * 600 + "last"))
    assert text.startswith("ValueError: first x x") and text.endswith("x last")
    assert len(text) <= MOST_CHARACTERS and not re.search(r"\s\s|\n", text)

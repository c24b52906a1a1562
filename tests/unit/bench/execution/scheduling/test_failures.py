"""Errors in one line, with what to do about them."""

from __future__ import annotations

import errno
import re
import signal

import pytest
import torch
from safetensors import SafetensorError

from bench.execution.scheduling.failures import (
    MOST_CHARACTERS,
    OUT_OF_MEMORY,
    death_text,
    error_text,
    is_disk_full,
)
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


def test_a_full_disk_is_known_by_what_libraries_say_of_it() -> None:
    full = SafetensorError(
        "Error while serializing: I/O error: No space left on device (os error 28)"
    )
    assert "PREFRONTIER_CACHE" in error_text(full)
    quota = ValueError("not saved")
    quota.__cause__ = RuntimeError("writing failed")
    quota.__cause__.__context__ = OSError(errno.EDQUOT, "Disk quota exceeded")
    assert is_disk_full(quota) and not is_disk_full(ValueError("os error 280"))


def test_a_killed_worker_is_told_from_one_that_crashed() -> None:
    killed = death_text(-signal.SIGKILL)
    assert "--jobs 1" in killed and "loading.lora.rank" in killed
    assert death_text(-signal.SIGSEGV) == "its process was ended by SIGSEGV"
    assert death_text(9) == "its process ended with exit code 9"


def test_any_other_error_is_one_line_with_its_begin_and_end() -> None:
    text = error_text(ValueError("first\n" + "x " * 600 + "last"))
    assert text.startswith("ValueError: first x x") and text.endswith("x last")
    assert len(text) <= MOST_CHARACTERS and not re.search(r"\s\s|\n", text)

"""Giving memory back between two pieces of work."""

from __future__ import annotations

import ctypes
import gc
import sys

from bench.pipeline.base import load_shared_policy, load_shared_reward


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

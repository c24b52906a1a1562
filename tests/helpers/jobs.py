"""What workers are given to do: they import it by name, so it stands in a module of its own."""

from __future__ import annotations

import os
import time
from pathlib import Path


def say(word: str) -> tuple[str, str, float]:
    return "ok", word, 0.0


def die(code: int) -> tuple[str, str, float]:
    # Others are at work by then.
    time.sleep(0.5)
    os._exit(code)


def rest(seconds: int) -> tuple[str, str, float]:
    time.sleep(seconds)
    return "ok", "", 0.0


def touch(file: Path) -> tuple[str, str, float]:
    file.touch()
    return "ok", "touched", 0.0


def wait_for(file: Path) -> tuple[str, str, float]:
    deadline = time.monotonic() + 60
    while not file.exists():
        if time.monotonic() > deadline:
            return "failed", "waited in vain", 60.0
        time.sleep(0.05)
    return "ok", "waited", 0.0

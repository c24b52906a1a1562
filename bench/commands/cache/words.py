"""Sizes, times and ages, in words and from words."""

from __future__ import annotations

import re
import time

from bench.errors import UserError

UNITS = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}


def size_text(size: float) -> str:
    """Return a size (bytes) as people read it."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def time_text(seconds: float) -> str:
    """Return a point in time (seconds since the epoch) as date and minute; "-" for none."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds)) if seconds else "-"


def age(text: str) -> float:
    """Return how long an age such as "30d" is (s).

    Raises:
        UserError: It is no age.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", text)
    if not found:
        raise UserError(
            f"--older-than: '{text}' is no age; allowed: a number and m, h, d or w, as in 30d"
        )
    return float(found[1]) * UNITS[found[2]]

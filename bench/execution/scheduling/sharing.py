"""How many jobs share a device, as an executor tells its workers."""

from __future__ import annotations

import os

VARIABLE = "PREFRONTIER_JOBS_ON_DEVICE"


def sharing_variables(jobs: int) -> dict[str, str]:
    """Return the environment variables of a worker on a device where so many jobs may run."""
    return {VARIABLE: str(jobs)}


def jobs_on_device() -> int:
    """Return how many jobs may run on this process's device at once, its own included."""
    return int(os.environ.get(VARIABLE) or 1)

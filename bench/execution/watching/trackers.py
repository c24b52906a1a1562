"""The trackers of training curves that can be named."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from bench.errors import UserError

TRACKERS = ("tensorboard", "wandb", "trackio")


def check_trackers(names: Sequence[str]) -> None:
    """Check the trackers that the user names.

    Raises:
        UserError: One is unknown or not installed.
    """
    for name in names:
        if name not in TRACKERS:
            raise UserError(f"--log-to: unknown '{name}'; allowed: {', '.join(TRACKERS)}")
        if find_spec(name) is None:
            raise UserError(f"--log-to: {name} is not installed: pip install {name}")

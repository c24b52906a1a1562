"""TRL's experimental trainers: any of them may be gone in its next release."""

from __future__ import annotations

import warnings
from importlib import import_module
from types import ModuleType


def experimental(module: str) -> ModuleType:
    """Return `trl.experimental.<module>`. Raises ImportError where this TRL has none."""
    import trl

    with warnings.catch_warnings():
        # That it may change is known: it is why this module exists.
        warnings.simplefilter("ignore")
        try:
            return import_module(f"trl.experimental.{module}")
        except ModuleNotFoundError as error:
            raise ImportError(f"TRL {trl.__version__} has no trl.experimental.{module}") from error

"""TRL's experimental trainers: any of them may be gone in its next release."""

from __future__ import annotations

import warnings
from importlib import import_module
from types import ModuleType


def experimental(module: str) -> ModuleType:
    """Return `trl.experimental.<module>`. Raises ImportError where this TRL has none."""
    import trl

    name = f"trl.experimental.{module}"
    with warnings.catch_warnings():
        # That it may change is known: it is why this module exists.
        warnings.simplefilter("ignore")
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            if not name.startswith(str(error.name)):
                raise  # it is there, and what it needs is not
            message = f"this method needs {name}, which TRL {trl.__version__} does not have"
            raise ImportError(message) from None

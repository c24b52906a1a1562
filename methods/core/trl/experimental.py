"""Access to TRL's experimental trainers, any of which its next release may remove."""

from __future__ import annotations

import warnings
from importlib import import_module
from types import ModuleType


def experimental(module: str) -> ModuleType:
    """Return `trl.experimental.<module>`.

    Raises:
        ImportError: The installed TRL has no such module.
    """
    import trl

    name = f"trl.experimental.{module}"
    with warnings.catch_warnings():
        # TRL warns that the module may change. This function is the answer to that.
        warnings.simplefilter("ignore")
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            if not name.startswith(str(error.name)):
                raise  # The module exists, but something that it imports does not.
            message = f"this method needs {name}, which TRL {trl.__version__} does not have"
            raise ImportError(message) from None

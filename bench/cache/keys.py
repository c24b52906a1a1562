"""Keys of artifacts: a hash of all that they depend on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import cache
from importlib.metadata import version
from typing import Any

LIBRARIES = ("torch", "transformers", "trl", "accelerate", "datasets", "tokenizers", "peft")


def digest(**content: Any) -> str:
    """Return a hash of plain values and dataclasses, and of the libraries' versions.

    Returns:
        20 hexadecimal digits.

    Raises:
        TypeError: A value is neither plain nor a dataclass.
    """
    content["libraries"] = library_versions()
    text = json.dumps(content, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def short_hash(*texts: str) -> str:
    """Return a hash of texts that tells names apart, 10 hexadecimal digits."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:10]


@cache
def library_versions() -> dict[str, str]:
    """Return the version of each library that results depend on."""
    return {name: version(name) for name in LIBRARIES}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"kind": type(value).__name__, **dataclasses.asdict(value)}
    raise TypeError(f"cannot hash {value!r}")

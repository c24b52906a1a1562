"""The sizes of models that are pretrained on the spot, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bench.tasks.base import Architecture


class Size(NamedTuple):
    """An embedded model.

    Attributes:
        architecture: Layers and widths of the Llama model.
        vocabulary: The largest number of tokens that its byte-pair tokenizer may have.
    """

    architecture: Architecture
    vocabulary: int


# Named after the number of parameters with a full vocabulary.
SIZES = {
    "tiny": Size(Architecture(2, 64, 2, 176), 2048),
    "1M": Size(Architecture(4, 128, 4, 352), 2048),
    "10M": Size(Architecture(6, 320, 5, 880), 8192),
    "50M": Size(Architecture(8, 640, 10, 1760), 16384),
    "150M": Size(Architecture(12, 896, 14, 2464), 32768),
}


def pretrained_elsewhere(names: Sequence[str]) -> list[str]:
    """Return the names that are folders or hub ids: those that are no embedded size."""
    return [name for name in names if name and name not in SIZES]

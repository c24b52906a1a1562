"""The sizes of models that are pretrained here, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bench.tasks.base import Architecture


class Size(NamedTuple):
    """An embedded model.

    Attributes:
        architecture: Layers and widths of the Llama model.
        vocabulary: The most byte pairs that its tokenizer knows.
    """

    architecture: Architecture
    vocabulary: int


# By their number of parameters, with a vocabulary that is used to the full.
SIZES = {
    "tiny": Size(Architecture(2, 64, 2, 176), 2048),
    "1M": Size(Architecture(4, 128, 4, 352), 2048),
    "10M": Size(Architecture(6, 320, 5, 880), 8192),
    "50M": Size(Architecture(8, 640, 10, 1760), 16384),
    "150M": Size(Architecture(12, 896, 14, 2464), 32768),
}


def pretrained_elsewhere(names: Sequence[str]) -> list[str]:
    """Return those of the models' names that are folders or hub ids, and not embedded sizes."""
    return [name for name in names if name and name not in SIZES]

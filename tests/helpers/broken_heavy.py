"""A method whose module imports torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch  # noqa: F401

from methods.sft import SFT


@dataclass(frozen=True)
class HeavyImport(SFT):
    """Its module has a heavy import."""

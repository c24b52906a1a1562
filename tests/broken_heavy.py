"""A method that brings in torch when it is listed."""

from __future__ import annotations

from dataclasses import dataclass

import torch  # noqa: F401

from methods.sft import SFT


@dataclass(frozen=True)
class HeavyImport(SFT):
    """Correct but for its imports."""

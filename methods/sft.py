"""The baseline: the SFT policy without further training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Context, Method, Policy


@dataclass(frozen=True)
class SFT(Method):
    """The SFT policy, untouched.

    It uses no preferences. Every other method should beat it.
    """

    distributed: ClassVar = True

    def train(self, context: Context) -> Policy:
        return context.start()

"""The baseline: the SFT policy as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Context, Method, Policy


@dataclass(frozen=True)
class SFT(Method):
    """The SFT policy, untouched.

    No preferences are used: what every other method must beat.
    """

    distributed: ClassVar = True

    def train(self, context: Context) -> Policy:
        return context.start()

"""Methods that sample responses and learn from their rewards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Context, Count, Method, Positive
from methods.core.training.trainer import whole_batches


@dataclass(frozen=True)
class Online(Method):
    """Base class of methods that sample responses and learn from their rewards.

    Attributes:
        learning_rate: At its peak.
        episodes: Responses in all. The budget may cut them.
    """

    feedback: ClassVar = "reward"

    learning_rate: Positive = 1e-3
    episodes: Count = 3072

    def batches(self, context: Context, size: int) -> int:
        """Return how many batches of `size` responses the episodes and the budget allow.

        Raises:
            ValueError: There is a budget, but not one batch fits.
        """
        return whole_batches(self.episodes, context.budget, size)

"""Methods that sample responses and ask for their reward: the fields that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Context, Count, Method, Positive
from methods.core.training.trainer import whole_batches


@dataclass(frozen=True)
class Online(Method):
    """learning_rate: at its peak. episodes: responses in all, cut to the budget."""

    feedback: ClassVar = "reward"

    learning_rate: Positive = 1e-3
    episodes: Count = 3072

    def batches(self, context: Context, size: int) -> int:
        """Return how many batches of this many responses can be sampled; see whole_batches."""
        return whole_batches(self.episodes, context.budget, size)

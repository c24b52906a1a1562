"""Best-of-n distillation: fine-tune once on the best of n responses (after Sessa et al., 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Context, Paper, Policy
from methods.toolkit.imitation import Imitation


@dataclass(frozen=True)
class BestOfNDistilled(Imitation):
    """Best-of-n distillation.

    The SFT policy is sampled once and fine-tuned on the best of n responses to each prompt, so that
    one sample replaces n. This is maximum likelihood on the best-of-n distribution: the forward
    half of the Jeffreys divergence of BOND (Sessa et al., 2024), without its backward half and its
    moving anchor. It is also called rejection-sampling fine-tuning.
    """

    paper: ClassVar = Paper("Sessa et al., 2024", "https://arxiv.org/abs/2407.14622")

    def train(self, context: Context) -> Policy:
        return self.imitate(context, rounds=1)

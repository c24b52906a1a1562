"""Sequence likelihood calibration (SLiC-HF; Zhao et al., 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Paper
from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor


@dataclass(frozen=True)
class SLiC(PairLoss):
    """Sequence likelihood calibration.

    The hinge loss of SLiC-HF (Zhao et al., 2023). As in TRL, it is a loss on the margin between the
    log-ratios. The reference replaces the second term of the paper, a cross-entropy that holds the
    policy to the SFT policy.

    Attributes:
        beta: KL strength. A pair has a loss until its margin is 1 / beta nats, delta in the paper.
    """

    paper: ClassVar = Paper("Zhao et al., 2023", "https://arxiv.org/abs/2305.10425")

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        return (1 - self.beta * logprobs.margin).clamp(min=0)

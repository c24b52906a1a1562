"""DPO-Positive (DPOP; Pal et al., 2024): DPO that keeps the chosen responses likely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import NonNegative, Paper, Positive
from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor


@dataclass(frozen=True)
class DPOP(PairLoss):
    """DPO-Positive.

    DPO widens the margin even if both responses become less likely. DPOP subtracts a penalty from
    the margin: lambda times the log-ratio that the chosen response has lost against the reference,
    max(0, -u), where u is its log-ratio (Pal et al., 2024, equation 3).

    Attributes:
        beta: KL strength, as in DPO.
        penalty: lambda, per nat. The paper uses 5 to 500 on pairs that differ in few tokens. Where
            both responses are samples of the SFT policy, so much stops nearly all learning.
    """

    paper: ClassVar = Paper("Pal et al., 2024", "https://arxiv.org/abs/2402.13228")
    grid: ClassVar = {"beta": [0.001, 0.03, 0.1, 0.3, 1.0]}

    beta: Positive = 0.1
    penalty: NonNegative = 0.3

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        from torch.nn.functional import logsigmoid

        lost = (-logprobs.chosen_ratio).clamp(min=0)
        return -logsigmoid(self.beta * (logprobs.margin - self.penalty * lost))

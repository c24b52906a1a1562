"""Provably robust DPO (Chowdhury et al., 2024): DPO for labels that are flipped at a known rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Lt

from methods.base import Paper
from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor


@dataclass(frozen=True)
class RobustDPO(PairLoss):
    """Provably robust DPO.

    If labels are flipped at a known rate e, the loss ((1 - e) l(m) - e l(-m)) / (1 - 2 e) is an
    unbiased estimate of the loss of DPO on the unflipped labels (Chowdhury et al., 2024, equation
    12). Here l is the loss of DPO and m the margin between the log-ratios.

    Attributes:
        beta: KL strength, in units of the annotator's reward per nat.
        flip_rate: e, from 0 to below 0.5. If it is higher than the true rate, the loss has no
            lower bound.
    """

    paper: ClassVar = Paper("Chowdhury et al., 2024", "https://arxiv.org/abs/2403.00409")
    grid: ClassVar = {"beta": [0.1, 0.3, 1.0, 3.0, 10.0]}

    flip_rate: Annotated[float, Ge(0), Lt(0.5)] = 0.1

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        from torch.nn.functional import logsigmoid

        logits = self.beta * logprobs.margin
        as_labeled, flipped = -logsigmoid(logits), -logsigmoid(-logits)
        return ((1 - self.flip_rate) * as_labeled - self.flip_rate * flipped) / (
            1 - 2 * self.flip_rate
        )

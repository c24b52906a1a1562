"""Conservative DPO (Mitchell, 2023): DPO for labels that may be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Lt

from methods.base import Paper
from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor


@dataclass(frozen=True)
class CDPO(PairLoss):
    """Conservative DPO.

    DPO with smoothed labels (Mitchell, 2023): (1 - e) l(m) + e l(-m), where l is the loss of DPO, m
    the margin between the log-ratios, and e the assumed rate of flipped labels. The loss has its
    minimum where the policy prefers the chosen response with probability 1 - e, so no pair drives
    the policy further.

    Attributes:
        beta: KL strength, as in DPO.
        flip_rate: e, from 0 to below 0.5.
    """

    paper: ClassVar = Paper("Mitchell, 2023", "https://ericmitchell.ai/cdpo.pdf")

    flip_rate: Annotated[float, Ge(0), Lt(0.5)] = 0.1

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        from torch.nn.functional import logsigmoid

        logits = self.beta * logprobs.margin
        return -(1 - self.flip_rate) * logsigmoid(logits) - self.flip_rate * logsigmoid(-logits)

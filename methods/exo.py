"""Efficient exact optimization (EXO; Ji et al., 2024), on pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Gt, Lt

from methods.base import Paper
from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor


@dataclass(frozen=True)
class EXO(PairLoss):
    """Efficient exact optimization.

    DPO minimizes the forward KL from the labels to the policy's own preferences between the two
    responses. EXO minimizes the reverse KL, as reinforcement learning does: KL(q || p), where q is
    sigmoid(beta margin) for the chosen response, and p is 1 - e (Ji et al., 2024, equation 16).

    Attributes:
        beta: KL strength. The loss has its minimum where beta margin = log((1 - e) / e).
        label_smoothing: e, above 0 because the KL is infinite otherwise.
    """

    paper: ClassVar = Paper("Ji et al., 2024", "https://arxiv.org/abs/2402.00856")
    grid: ClassVar = {"beta": [0.1, 0.3, 1.0, 3.0, 10.0]}

    label_smoothing: Annotated[float, Gt(0), Lt(0.5)] = 1e-3

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        from torch.nn.functional import logsigmoid

        logits = self.beta * logprobs.margin
        chosen = logsigmoid(logits) - math.log1p(-self.label_smoothing)
        rejected = logsigmoid(-logits) - math.log(self.label_smoothing)
        return logits.sigmoid() * chosen + (-logits).sigmoid() * rejected

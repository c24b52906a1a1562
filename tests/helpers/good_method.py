"""A method without any fault, which the broken ones change in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from methods.core.training.pairwise import PairLogprobs
from methods.toolkit.offline import PairLoss

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Good(PairLoss):
    """DPO without any fault."""

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        from torch.nn.functional import logsigmoid

        return -logsigmoid(self.beta * logprobs.margin)

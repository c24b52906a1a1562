"""Identity preference optimization (IPO; Azar et al., 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Paper
from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor


@dataclass(frozen=True)
class IPO(PairLoss):
    """Identity preference optimization.

    A squared loss that pulls the margin between the log-ratios to 1 / (2 beta): equation 17 of Azar
    et al. (2023). Unlike the loss of DPO, it has a finite minimum even if the annotator always
    prefers the same response. As in TRL, log-ratios are means over the tokens of a response, unless
    `average` is off.

    Attributes:
        beta: KL strength, tau in the paper. The margin of 1 / (2 beta) is in nats per token, or in
            nats if log-ratios are sums.
        average: Whether log-ratios are means over the tokens of a response. In the paper they are
            sums.
    """

    paper: ClassVar = Paper("Azar et al., 2023", "https://arxiv.org/abs/2310.12036")
    grid: ClassVar = {"beta": [0.1, 0.3, 1.0, 3.0, 10.0]}

    average: bool = True

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        chosen, rejected = logprobs.chosen_ratio, logprobs.rejected_ratio
        if self.average:
            chosen = chosen / logprobs.chosen_tokens.lengths
            rejected = rejected / logprobs.rejected_tokens.lengths
        return (chosen - rejected - 1 / (2 * self.beta)) ** 2

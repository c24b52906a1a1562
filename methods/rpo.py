"""DPO with fine-tuning on the chosen response (RPO; Pang et al., 2024; Liu et al., 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import NonNegative, Paper, Positive
from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor


@dataclass(frozen=True)
class RPO(PairLoss):
    """DPO with fine-tuning on the chosen response.

    The loss of DPO, plus the negative log-likelihood of the chosen response per token (Pang et al.,
    2024, equation 1). The second term keeps chosen responses likely, and the policy near the data
    (Liu et al., 2024, who call it regularized preference optimization).

    Attributes:
        beta: As in DPO. A smaller one than DPO's: the log-likelihood holds the policy, too.
        nll_weight: KL strength: the weight of the log-likelihood. It is the inverse of alpha, the
            weight of DPO's loss in Pang et al.
    """

    paper: ClassVar = Paper("Pang et al., 2024", "https://arxiv.org/abs/2404.19733")
    strength: ClassVar = "nll_weight"
    grid: ClassVar = {"nll_weight": [0.01, 0.05, 0.2, 0.5, 1.0]}

    beta: Positive = 0.1
    nll_weight: NonNegative = 0.2

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        from torch.nn.functional import logsigmoid

        nll = -logprobs.chosen / logprobs.chosen_tokens.lengths
        return -logsigmoid(self.beta * logprobs.margin) + self.nll_weight * nll

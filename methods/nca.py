"""Noise contrastive alignment (NCA; Chen et al., 2024), on pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Paper, Positive
from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor


@dataclass(frozen=True)
class NCA(PairLoss):
    """Noise contrastive alignment.

    A classifier tells chosen responses from those of the reference, which the responses of a pair
    stand for. Its logit is the implicit reward, beta times the log-ratio. DPO determines only the
    difference of two rewards, NCA each of them, so chosen responses stay likely (Chen et al., 2024,
    with pairs as the data).

    Attributes:
        beta: KL strength, alpha in the paper.
    """

    paper: ClassVar = Paper("Chen et al., 2024", "https://arxiv.org/abs/2402.05369")
    grid: ClassVar = {"beta": [0.001, 0.003, 0.03, 0.1, 0.3]}

    beta: Positive = 0.03

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        from torch.nn.functional import logsigmoid

        chosen, rejected = self.beta * logprobs.chosen_ratio, self.beta * logprobs.rejected_ratio
        return -logsigmoid(chosen) - (logsigmoid(-chosen) + logsigmoid(-rejected)) / 2

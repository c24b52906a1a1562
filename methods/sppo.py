"""Self-play preference optimization (SPPO; Wu et al., 2024), one round of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Paper, Positive
from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor


@dataclass(frozen=True)
class SPPO(PairLoss):
    """Self-play preference optimization.

    A squared loss that pulls the log-ratio of a response to (P - 1/2) / beta, where P is the
    probability that it wins against a response of the policy (Wu et al., 2024, equation 4.7). As in
    TRL's `sppo_hard`, P is 1 for the chosen response and 0 for the rejected one. The paper
    estimates P by a preference model and samples new pairs in each of its rounds. This is the first
    round, on the labels at hand.

    Attributes:
        beta: KL strength, 1 / eta in the paper. The log-ratios are pulled to 1 / (2 beta) nats and
            its negative.
    """

    paper: ClassVar = Paper("Wu et al., 2024", "https://arxiv.org/abs/2405.00675")
    grid: ClassVar = {"beta": [0.0003, 0.01, 0.03, 0.1, 0.3]}

    beta: Positive = 0.03

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        target = 1 / (2 * self.beta)
        return (logprobs.chosen_ratio - target) ** 2 + (logprobs.rejected_ratio + target) ** 2

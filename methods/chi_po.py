"""Chi-squared preference optimization (chi-PO; Huang et al., 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Paper, Positive
from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor

# The most nats of a log-ratio in the exponential, as in the paper's experiments.
MOST_NATS = 20.0


@dataclass(frozen=True)
class ChiPO(PairLoss):
    """Chi-squared preference optimization.

    DPO with another link: the implicit reward is beta (u + log u) instead of beta log u, where u is
    the ratio of policy to reference. The chi-squared divergence, to which u belongs, holds the
    policy where the data are. Differences of rewards are clipped to twice the largest reward (Huang
    et al., 2024, algorithm 1).

    Attributes:
        beta: Coefficient of the two divergences, chi-squared and KL.
        most_reward: R_max, the largest reward in the annotator's units. A pair whose difference is
            beyond 2 R_max has no gradient.
    """

    paper: ClassVar = Paper("Huang et al., 2024", "https://arxiv.org/abs/2407.13399")
    grid: ClassVar = {"beta": [0.001, 0.03, 0.1, 0.3, 1.0]}

    beta: Positive = 0.1
    most_reward: Positive = 5.0

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        from torch.nn.functional import logsigmoid

        difference = self.link(logprobs.chosen_ratio) - self.link(logprobs.rejected_ratio)
        most = 2 * self.most_reward
        return -logsigmoid((self.beta * difference).clamp(-most, most))

    def link(self, ratio: Tensor) -> Tensor:
        """Return u + log u of a log-ratio log u."""
        return ratio.clamp(max=MOST_NATS).exp() + ratio

"""REBEL (Gao et al., 2024): the policy gradient as a regression on differences of rewards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import NonNegative, Paper, Positive
from methods.toolkit.online_pairs import OnlinePairs, ResponsePairs, Tensor, difference


@dataclass(frozen=True)
class REBEL(OnlinePairs):
    """Regression to relative rewards.

    Two responses to a prompt differ in reward, and in how much their log-probabilities have changed
    since sampling. The loss is the squared error between the second difference, divided by eta, and
    the first (Gao et al., 2024, algorithm 1). With an exact fit, each update multiplies the policy
    by exp(eta r), which is mirror descent.

    As in the authors' code, the reward includes the KL, r - kl_coef * log-ratio. So the loss is 0
    everywhere at the policy that maximizes E[r] - kl_coef * KL, and there only.

    Attributes:
        kl_coef: Coefficient of the KL, in units of reward per nat.
        eta: Size of an update, in nats per unit of reward.
    """

    paper: ClassVar = Paper("Gao et al., 2024", "https://arxiv.org/abs/2404.16767")
    strength: ClassVar = "kl_coef"
    strength_is_kl: ClassVar = True
    grid: ClassVar = {"kl_coef": [0.05, 0.1, 0.2, 0.4, 0.8]}

    kl_coef: NonNegative = 0.2
    eta: Positive = 1.0

    def loss(self, pairs: ResponsePairs) -> Tensor:
        log_ratios = pairs.old_logprobs - pairs.reference_logprobs
        gains = difference(pairs.rewards - self.kl_coef * log_ratios)
        changes = difference(pairs.logprobs - pairs.old_logprobs)
        return (changes / self.eta - gains) ** 2

"""Kahneman-Tversky optimization (KTO; Ethayarajh et al., 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge

from methods.base import Paper, Positive
from methods.toolkit.offline import Tensor, UnpairedLogprobs, UnpairedLoss


@dataclass(frozen=True)
class KTO(UnpairedLoss):
    """Kahneman-Tversky optimization.

    The loss of a liked response is 1 - sigmoid(beta (log-ratio - KL)). For a disliked response the
    sign inside the sigmoid is reversed (Ethayarajh et al., 2024). So the gradient vanishes as a
    log-ratio moves away from the KL, which each batch estimates from responses to other prompts.

    Attributes:
        beta: KL strength: the larger, the smaller the log-ratios at which the loss levels off.
        desirable_weight: Weight of liked responses. Raise it if they are rare.
        undesirable_weight: Weight of disliked responses. Raise it if they are rare.
        batch_size: Examples of a step, at least 2: the KL is estimated from the others of a batch.
    """

    paper: ClassVar = Paper("Ethayarajh et al., 2024", "https://arxiv.org/abs/2402.01306")
    unrelated: ClassVar = True

    desirable_weight: Positive = 1.0
    undesirable_weight: Positive = 1.0
    batch_size: Annotated[int, Ge(2)] = 32

    def loss(self, logprobs: UnpairedLogprobs) -> Tensor:
        """Return the loss of each response, [B]: section 4.1 of Ethayarajh et al. (2024)."""
        kl, beta = logprobs.unrelated_ratio.clamp(min=0), self.beta
        liked = self.desirable_weight * (1 - (beta * (logprobs.ratio - kl)).sigmoid())
        disliked = self.undesirable_weight * (1 - (beta * (kl - logprobs.ratio)).sigmoid())
        return liked.where(logprobs.liked, disliked)

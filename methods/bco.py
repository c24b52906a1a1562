"""Binary classifier optimization (BCO; Jung et al., 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Context, Paper, Policy
from methods.core.models import distributed
from methods.core.training.pairwise import fit_unpaired
from methods.toolkit.offline import Tensor, UnpairedLogprobs, UnpairedLoss


@dataclass(frozen=True)
class BCO(UnpairedLoss):
    """Binary classifier optimization.

    The implicit reward, beta times the log-ratio, is the logit of a classifier of liked and
    disliked responses. A shift is subtracted from it: the midpoint between the mean rewards of the
    two classes, which brings the loss closest to that of DPO (Jung et al., 2024). The means are
    taken over all responses so far. The paper's weights, which correct for liked and disliked
    responses to different prompts, are left out.

    Attributes:
        beta: KL strength, as in DPO.
    """

    paper: ClassVar = Paper("Jung et al., 2024", "https://arxiv.org/abs/2404.04656")
    grid: ClassVar = {"beta": [0.003, 0.03, 0.1, 0.3, 1.0]}

    def train(self, context: Context) -> Policy:
        shift = RewardShift()

        def loss(logprobs: UnpairedLogprobs) -> Tensor:
            rewards = self.beta * logprobs.ratio
            return self.loss(logprobs, shift.update(rewards, logprobs.liked))

        return fit_unpaired(context, loss, self.schedule)

    def loss(self, logprobs: UnpairedLogprobs, shift: Tensor | float = 0.0) -> Tensor:
        """Return the cross-entropy of each response, [B].

        Args:
            logprobs: Log-probabilities of the responses under policy and reference.
            shift: What is subtracted from the rewards to give the logits, a scalar.
        """
        from torch.nn.functional import logsigmoid

        logits = self.beta * logprobs.ratio - shift
        return -logsigmoid(logits.where(logprobs.liked, -logits))


class RewardShift:
    """The midpoint between the mean rewards of liked and disliked responses so far."""

    def __init__(self) -> None:
        # Tensors on the device from the first batch on: reading them would make a GPU wait.
        self._sums: Tensor | float = 0.0
        self._counts: Tensor | float = 0.0

    def update(self, rewards: Tensor, liked: Tensor) -> Tensor:
        """Add a batch and return the shift, a scalar without gradient.

        The mean of a class without responses is taken as 0.

        Args:
            rewards: Implicit rewards, [B].
            liked: Whether each response was liked, [B].
        """
        import torch

        classes = torch.stack([liked, ~liked]).to(rewards.dtype)
        batch = torch.stack([classes @ rewards.detach(), classes.sum(1)])
        sums, counts = distributed.sum_of(batch)
        sums = self._sums = self._sums + sums
        counts = self._counts = self._counts + counts
        return (sums / counts.clamp(min=1)).mean()

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
        shift = RewardShift(self.beta)
        return fit_unpaired(context, self.loss, self.schedule, shift=shift.update)

    def loss(self, logprobs: UnpairedLogprobs) -> Tensor:
        from torch.nn.functional import logsigmoid

        logits = self.beta * logprobs.ratio - logprobs.shift
        return -logsigmoid(logits.where(logprobs.liked, -logits))


class RewardShift:
    """The midpoint between the mean implicit rewards of liked and disliked responses so far."""

    def __init__(self, beta: float) -> None:
        self.beta = beta
        # Sums and counts of both classes, up to the step before and up to the last one. Tensors on
        # the device from the first batch on: reading them would make a GPU wait.
        self._step = 0
        self._before: Tensor | float = 0.0
        self._so_far: Tensor | float = 0.0

    def update(self, step: int, ratios: Tensor, liked: Tensor) -> Tensor:
        """Add the batch of a step, in place of an earlier attempt, and return the shift, a scalar.

        The mean of a class without responses is taken as 0.

        Args:
            step: The number of the step.
            ratios: Log-ratios of policy to reference, [B].
            liked: Whether each response was liked, [B].
        """
        import torch

        if step != self._step:
            self._step, self._before = step, self._so_far
        rewards = self.beta * ratios
        classes = torch.stack([liked, ~liked]).to(rewards.dtype)
        batch = torch.stack([classes @ rewards, classes.sum(1)])
        self._so_far = self._before + distributed.sum_of(batch)
        sums, counts = self._so_far
        return (sums / counts.clamp(min=1)).mean()

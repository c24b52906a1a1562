"""Binary classifier optimization (BCO, Jung et al., 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from methods.base import Context, Paper, Policy
from methods.core.training.pairwise import UnpairedLogprobs, fit_unpaired
from methods.toolkit.offline import Offline

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class BCO(Offline):
    """Binary classifier optimization.

    The reward, beta times the log-ratio, is the logit of a classifier of liked and disliked
    responses. The shift that is taken from it lies midway between the mean reward of the two,
    which brings the loss closest to DPO's (Jung et al., 2024). The means run over all that was
    seen. The paper's weights, for liked and disliked responses to different prompts, are left out.

    beta: as in DPO.
    """

    paper: ClassVar = Paper("Jung et al., 2024", "https://arxiv.org/abs/2404.04656")
    feedback: ClassVar = "unpaired"
    distributed: ClassVar = True

    def train(self, context: Context) -> Policy:
        shift = RewardShift()

        def loss(logprobs: UnpairedLogprobs) -> Tensor:
            rewards = self.beta * logprobs.ratio
            return classifier_loss(rewards, logprobs.label, shift.after(rewards, logprobs.label))

        return fit_unpaired(context, loss, self.schedule)


def classifier_loss(rewards: Tensor, label: Tensor, shift: Tensor) -> Tensor:
    """Return the cross-entropy of each response, [B], its logit being the reward less the shift."""
    from torch.nn.functional import logsigmoid

    logits = rewards - shift
    return -logsigmoid(logits.where(label, -logits))


class RewardShift:
    """Midway between the mean rewards of liked and of disliked responses, over all seen so far."""

    def __init__(self) -> None:
        # On the device from the first batch on: to look at them would make a GPU wait.
        self._sums: Tensor | float = 0.0
        self._counts: Tensor | float = 0.0

    def after(self, rewards: Tensor, label: Tensor) -> Tensor:
        """Take in a batch, [B], and return the shift, without a gradient.

        A side of which nothing was seen yet counts as 0.
        """
        import torch

        sides = torch.stack([label, ~label]).to(rewards.dtype)
        sums = self._sums = self._sums + sides @ rewards.detach()
        counts = self._counts = self._counts + sides.sum(1)
        return (sums / counts.clamp(min=1)).mean()

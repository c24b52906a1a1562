"""Binary classifier optimization (BCO, Jung et al., 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from methods.base import Context, Paper, Policy
from methods.core.fit import ThumbLogprobs, fit_thumbs
from methods.core.offline import Offline

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
    feedback: ClassVar = "thumbs"

    def train(self, context: Context) -> Policy:
        shift = RewardShift()

        def loss(logprobs: ThumbLogprobs) -> Tensor:
            rewards = self.beta * logprobs.ratio
            shift.see(rewards.detach(), logprobs.up)
            return classifier_loss(rewards, logprobs.up, shift.value)

        return fit_thumbs(context, loss, self.schedule)


def classifier_loss(rewards: Tensor, up: Tensor, shift: Tensor | float) -> Tensor:
    """Return the cross-entropy of each response, [B], its logit being the reward less the shift."""
    from torch.nn.functional import logsigmoid

    logits = rewards - shift
    return -logsigmoid(logits.where(up, -logits))


class RewardShift:
    """Midway between the mean rewards of liked and of disliked responses, over all seen so far."""

    def __init__(self) -> None:
        # On the device from the first batch on: to read them at every step would make a GPU wait.
        self._sums: list[Tensor | float] = [0.0, 0.0]
        self._counts: list[Tensor | float] = [0.0, 0.0]

    def see(self, rewards: Tensor, up: Tensor) -> None:
        """Take in a batch, [B]."""
        for side, own in enumerate((~up, up)):
            self._sums[side] = self._sums[side] + (rewards * own).sum()
            self._counts[side] = self._counts[side] + own.sum()

    @property
    def value(self) -> Tensor:
        """The shift. A side of which nothing was seen counts as 0."""
        import torch

        sums, counts = torch.as_tensor(self._sums), torch.as_tensor(self._counts)
        return (sums / counts.clamp(min=1)).mean()

"""Trust-region DPO (TR-DPO; Gorbatovski et al., 2024): DPO whose reference follows the policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Context, Count, Paper, Policy, Share
from methods.core.models.policy import ModelPolicy
from methods.core.online.following import FollowingReference
from methods.core.training.pairwise import fit_pairs
from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor


@dataclass(frozen=True)
class TRDPO(PairLoss):
    """Trust-region DPO.

    The loss of DPO with a reference that is updated during the training: its weights become alpha
    times those of the policy plus (1 - alpha) times its own (Gorbatovski et al., 2024). With an
    alpha below 1 this is the paper's soft update, with 1 its hard update. So `beta` holds the
    policy to a reference that moves, and the policy gets further from the SFT policy than by DPO.

    Attributes:
        beta: Strength of the KL to the moving reference.
        alpha: Share of the policy in the updated reference. The paper recommends 0.5 to 0.6.
        update_every: Steps between updates, tau in the paper.
    """

    paper: ClassVar = Paper("Gorbatovski et al., 2024", "https://arxiv.org/abs/2404.09656")
    grid: ClassVar = {"beta": [0.1, 0.3, 1.0, 3.0, 10.0]}

    alpha: Share = 0.6
    update_every: Count = 64

    def train(self, context: Context) -> Policy:
        return fit_pairs(context, self.loss, self.schedule, reference=self.reference)

    def reference(self, policy: ModelPolicy) -> FollowingReference:
        """Return the reference of a training, which is the policy at its start."""
        return FollowingReference(policy, self.alpha, self.update_every)

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        from torch.nn.functional import logsigmoid

        return -logsigmoid(self.beta * logprobs.margin)

"""Trust-region DPO (TR-DPO; Gorbatovski et al., 2024): DPO whose reference follows the policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Context, Count, Paper, Policy, Share
from methods.core.models.batch import Batch
from methods.core.models.loading import trainable_weights
from methods.core.models.logprobs import token_logprobs
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams
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


class FollowingReference:
    """A copy of the policy's trained weights that follows them step by step.

    Attributes:
        policy: The policy. It computes with the copied weights in place of its own.
        alpha: Share of the policy in the updated copy.
        update_every: Steps between updates.
    """

    def __init__(self, policy: ModelPolicy, alpha: float, update_every: int) -> None:
        self.policy, self.alpha, self.update_every = policy, alpha, update_every
        self._weights = {
            name: weight.detach().clone()
            for name, weight in trainable_weights(policy.model).items()
        }

    def logprobs(self, batch: Batch) -> Tensor:
        """Return its log-probabilities of the response tokens, [B, T] (nats; 0 on padding)."""
        import torch

        self._swap()
        try:
            with torch.no_grad():
                return token_logprobs(self.policy.model, batch, SamplingParams())
        finally:
            self._swap()

    def after_step(self, step: int) -> None:
        """Move towards the policy, if an update is due."""
        if step % self.update_every == 0:
            for name, weight in trainable_weights(self.policy.model).items():
                self._weights[name].lerp_(weight.detach(), self.alpha)

    def _swap(self) -> None:
        """Exchange the weights of the policy with the copy."""
        for name, weight in trainable_weights(self.policy.model).items():
            weight.data, self._weights[name] = self._weights[name], weight.data

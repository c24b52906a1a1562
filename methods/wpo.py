"""Weighted preference optimization (WPO; Zhou et al., 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Paper
from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor, TokenLogprobs


@dataclass(frozen=True)
class WPO(PairLoss):
    """Weighted preference optimization.

    The loss of DPO, weighted by how likely the current policy is to give both responses: so that
    pairs of another policy resemble pairs of its own (Zhou et al., 2024, equation 2). The weight of
    a response is the geometric mean over its tokens of p / c: p is the probability of the token, c
    the expected probability of a token that the policy draws in its place. As in TRL, weights may
    exceed 1; the authors' code cuts them off there.

    Attributes:
        beta: KL strength, as in DPO.
    """

    paper: ClassVar = Paper("Zhou et al., 2024", "https://arxiv.org/abs/2406.11827")
    collision: ClassVar = True

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        from torch.nn.functional import logsigmoid

        weight = self.weight(logprobs.chosen_tokens) * self.weight(logprobs.rejected_tokens)
        return -weight * logsigmoid(self.beta * logprobs.margin)

    def weight(self, tokens: TokenLogprobs) -> Tensor:
        """Return the weight of each response, [B], without gradient."""
        aligned = tokens.policy.detach() - tokens.collision
        return (aligned.sum(1) / tokens.lengths).exp()

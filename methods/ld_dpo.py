"""Length-desensitized DPO (LD-DPO; Liu et al., 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Paper, Share
from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor, TokenLogprobs


@dataclass(frozen=True)
class LDDPO(PairLoss):
    """Length-desensitized DPO.

    DPO sums log-ratios over tokens, so the longer response of a pair has more weight. Here the
    tokens beyond the length of the shorter response count only alpha times (Liu et al., 2024).

    Attributes:
        beta: KL strength, as in DPO.
        alpha: Weight of the tokens beyond the shared length. With 1 it is DPO, with 0 they are
            ignored.
    """

    paper: ClassVar = Paper("Liu et al., 2024", "https://arxiv.org/abs/2409.06411")

    alpha: Share = 0.5

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        import torch
        from torch.nn.functional import logsigmoid

        chosen, rejected = logprobs.chosen_tokens, logprobs.rejected_tokens
        shared = torch.minimum(chosen.lengths, rejected.lengths)
        margin = self.ratio(chosen, shared) - self.ratio(rejected, shared)
        return -logsigmoid(self.beta * margin)

    def ratio(self, tokens: TokenLogprobs, shared: Tensor) -> Tensor:
        """Return the log-ratio of each response, [B], given how many tokens count in full, [B]."""
        beyond = tokens.mask.cumsum(1) > shared.unsqueeze(1)
        ratios = tokens.policy - tokens.reference
        return ratios.where(~beyond, self.alpha * ratios).sum(1)

"""Expert iteration: fine-tune on the best of n responses, repeatedly (Anthony et al., 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Context, Count, Paper, Policy
from methods.toolkit.imitation import Imitation


@dataclass(frozen=True)
class ExpertIteration(Imitation):
    """Expert iteration.

    The expert is best-of-n sampling from the policy. The apprentice is the policy, fine-tuned on
    the expert's responses: algorithm 1 of Anthony et al. (2017), applied to language models by
    RAFT (Dong et al., 2023). There is no KL term: n and the number of rounds bound the distance to
    the reference.

    Attributes:
        rounds: Rounds of sampling and fine-tuning, each with an equal part of the episodes.
    """

    paper: ClassVar = Paper("Anthony et al., 2017", "https://arxiv.org/abs/1705.08439")
    grid: ClassVar = {"n": [2, 3, 4, 8]}

    rounds: Count = 4

    def train(self, context: Context) -> Policy:
        return self.imitate(context, self.rounds)

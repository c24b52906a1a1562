"""XPO (Xie et al., 2024): online DPO with a bonus for exploration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, MultipleOf

from methods.base import Count, NonNegative, Paper, Positive
from methods.toolkit.online_pairs import (
    OnlinePairs,
    OnlineRun,
    ResponsePairs,
    Rollout,
    Tensor,
    interleave,
)


@dataclass(frozen=True)
class XPO(OnlinePairs):
    """Exploratory preference optimization.

    Of each pair, one response is the policy's and the other the reference's. The loss is DPO's plus
    alpha log p(y') of the reference's response y'. Making what the reference says less likely is
    optimism: it moves probability to what has not been tried (Xie et al., 2024, algorithm 1).

    The paper learns from all pairs so far. Here a pair is used in its own update only. The response
    with the higher reward is the chosen one, as in online DPO.

    Attributes:
        beta: KL strength. It has no unit of reward, because a label says which response is better
            but not by how much.
        alpha: Weight of the bonus.
    """

    paper: ClassVar = Paper("Xie et al., 2024", "https://arxiv.org/abs/2405.21046")
    strength: ClassVar = "beta"
    grid: ClassVar = {"beta": [0.2, 0.5, 1.0, 2.0, 4.0]}

    learning_rate: Positive = 1.5e-3
    batch_size: Annotated[int, Ge(2), MultipleOf(2)] = 192
    minibatches: Count = 2
    save_every: Count = 8
    beta: Positive = 1.0
    alpha: NonNegative = 1e-4

    def collect(self, run: OnlineRun) -> Rollout:
        prompts = run.prompts(2)
        return interleave(run.collect(prompts=prompts), run.collect_reference(prompts))

    def loss(self, pairs: ResponsePairs) -> Tensor:
        from torch.nn.functional import logsigmoid

        reference_response = pairs.logprobs[:, 1]
        return -logsigmoid(self.beta * pairs.margin) + self.alpha * reference_response

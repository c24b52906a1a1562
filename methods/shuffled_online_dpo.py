"""DPO on the shuffled pairs of an online run (Tang et al., 2024): is it the data or the order?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from annotated_types import Ge, MultipleOf

from methods.base import Context, Count, Paper, Positive
from methods.core.feedback import Pair
from methods.core.models.policy import ModelPolicy
from methods.core.training.pairwise import fit_pairs
from methods.core.training.trainer import Schedule
from methods.dpo import DPO
from methods.toolkit.online_pairs import OnlinePairs, OnlineRun, ResponsePairs, Rollout, Tensor


@dataclass(frozen=True)
class ShuffledOnlineDPO(OnlinePairs):
    """DPO on the shuffled pairs of an online run.

    Online DPO trains a policy and keeps every pair that the reward labels. That policy is thrown
    away, and a fresh copy of the SFT policy learns from the same pairs by DPO, in shuffled order.
    Tang et al. (2024) ask with it whether online methods are better because their data covers more:
    if so, the second policy is as good as the first.

    Both phases take steps of the same size at the same learning rates, and pass over the pairs as
    often, if the budget allows. They differ in the order of the pairs: online, each pass is over
    the pairs of one update. The paper's loss is that of IPO; here it is DPO's. Usage counts both
    phases; the training curves and the checkpoints are those of the second.

    Attributes:
        beta: KL strength, in both phases. It has no unit of reward, because a label says which
            response is better but not by how much.
        batch_size: Responses between updates of the online phase, two to each prompt.
        epochs: Passes of each phase over the pairs.
        minibatches: Parts of a batch, with one optimizer step for each. DPO takes steps on as many
            pairs.
        max_grad_norm: Gradients of the online phase are clipped to this norm. None does not clip.
            DPO clips to 1.
    """

    paper: ClassVar = Paper("Tang et al., 2024", "https://arxiv.org/abs/2405.08448")
    strength: ClassVar = "beta"
    grid: ClassVar = {"beta": [0.05, 0.1, 0.2, 0.4, 0.8]}

    learning_rate: Positive = 1.5e-3
    batch_size: Annotated[int, Ge(2), MultipleOf(2)] = 96
    epochs: Count = 2
    minibatches: Count = 3
    beta: Positive = 0.2

    def train(self, context: Context) -> ModelPolicy:
        online = self.run(replace(context, curves=[], checkpoints=0))
        pairs = [Pair(*texts) for texts in online.state.get("pairs", [])]
        size = max(1, self.batch_size // 2 // self.minibatches)
        schedule = Schedule(self.learning_rate, self.epochs * len(pairs), size, warmup=0.0)
        # `fit_pairs` shuffles.
        return fit_pairs(replace(context, labels=pairs), DPO(beta=self.beta).loss, schedule)

    def collect(self, run: OnlineRun) -> Rollout:
        rollout = super().collect(run)
        responses = run.policy.decode(rollout.batch)
        pairs = run.state.setdefault("pairs", [])
        pairs += ranked(run.prompts(2), responses, rollout.rewards.tolist())
        return rollout

    def loss(self, pairs: ResponsePairs) -> Tensor:
        from torch.nn.functional import logsigmoid

        return -logsigmoid(self.beta * pairs.margin)


def ranked(
    prompts: Sequence[str], responses: Sequence[str], rewards: Sequence[float]
) -> list[tuple[str, str, str]]:
    """Return the prompt, the chosen and the rejected response of each pair.

    Args:
        prompts: One for each pair.
        responses: Two to each prompt, as neighbors.
        rewards: Of the responses. Of two that are equal, the first response is the chosen one.
    """
    labeled = list(zip(responses, rewards, strict=True))
    both = zip(prompts, labeled[::2], labeled[1::2], strict=True)
    return [
        (prompt, first[0], second[0]) if first[1] >= second[1] else (prompt, second[0], first[0])
        for prompt, first, second in both
    ]

"""bandit: three responses, of which the reference gives two and the labels compare only these.

It is table 1 of Xu et al. (2024): one prompt, the reference (0.5, 0.5, 0) over the responses y1, y2
and y3, and labels that all prefer y1 over y2. Nothing tells what y3 is worth. DPO's loss is at its
infimum at every policy that gives y1 and never y2, such as (0.1, 0, 0.9); PPO's objective has one
optimum, (1, 0, 0), as anything that the reference never gives has an infinite KL.
`bench/evaluation/optimal/bandit.py` computes both.

A response is one token, and no end token follows it. The model can give any token of its
vocabulary of ten: y1, y2, y3, the word of the prompt, and six special tokens. All but y1 and y2
stand nowhere in the text as responses, get the gold reward `unseen`, and are never labeled: they
are all like y3. A softmax gives none of them a probability of exactly 0, but after the pretraining
their sum is below 0.001, so the KL of a policy that gives them is large instead of infinite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated, ClassVar

from annotated_types import Gt, Le, Lt

from bench.tasks.base import (
    MOST_EXAMPLES,
    Architecture,
    Embedded,
    Example,
    RewardTraining,
    Split,
    Training,
)
from bench.tasks.labeling import Annotator, ResponseSource

PROMPT = "choose"
RESPONSES = CHOSEN, REJECTED, UNSEEN = "y1", "y2", "y3"


@dataclass(frozen=True)
class Bandit(Embedded):
    """Three responses: labels prefer the first over the second, and never show the third.

    Attributes:
        unseen: Gold reward of y3 and all other tokens. That of y1 is 1, and that of y2 is 0.
    """

    name: ClassVar[str] = "bandit"
    enumerable: ClassVar[bool] = True

    unseen: Annotated[float, Lt(0)] = -1.0
    labels: Annotated[int, Gt(0), Le(MOST_EXAMPLES)] = 512
    # y2 is preferred with probability e^-100: never.
    annotator: Annotator = Annotator(temperature=0.01)
    # A pair of equal responses says nothing to DPO, but other losses learn from it.
    response_source: ResponseSource = ResponseSource(distinct=True)
    architecture: Architecture = Architecture(layers=1, hidden=16, heads=2, intermediate=32)
    pretraining: Training = Training(8192, 1, 64, 1e-2)
    sft: Training = Training(8192, 1, 256, 1e-2)
    reward_model: RewardTraining = RewardTraining(4, 32, 1e-2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.feedback_format.responses != 2:
            raise ValueError("feedback_format.responses must be 2: labels compare y1 and y2 alone")
        if self.response_source.coverage != 1:
            raise ValueError("response_source.coverage must be 1: labels are about y1 and y2 alone")

    @property
    def max_new_tokens(self) -> int:
        return 1

    def words(self) -> list[str]:
        return [PROMPT, *RESPONSES]

    def prompts(self, split: Split) -> list[str]:
        return [PROMPT]

    def corpus(self, random: Random, count: int) -> list[Example]:
        """Return y1 and y2, as many of each."""
        return [Example(PROMPT, (CHOSEN, REJECTED)[i % 2]) for i in range(count)]

    def demonstrations(self, random: Random, count: int) -> list[Example]:
        """Return the same."""
        return self.corpus(random, count)

    def is_covered(self, response: str) -> bool:
        return response in (CHOSEN, REJECTED)

    def gold(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        rewards = {CHOSEN: 1.0, REJECTED: 0.0}
        return [rewards.get(response, self.unseen) for response in responses]

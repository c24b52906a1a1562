"""Best of n: sample n responses from the SFT policy and keep the one that the reward likes best."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from methods.base import Context, Count, Method, Paper, Policy
from methods.core.models.policy import POLICY_FILE, ModelPolicy, save_kind
from methods.core.models.reward import TextReward, load_reward
from methods.core.training.rollout import best_of_each
from methods.core.models.sampling import SamplingParams

if TYPE_CHECKING:
    from numpy import ndarray


@dataclass(frozen=True)
class BestOfN(Method):
    """Best-of-n sampling from the SFT policy.

    Stiennon et al. (2020). There is no training; n samples are paid for at every answer.
    """

    paper: ClassVar = Paper("Stiennon et al., 2020", "https://arxiv.org/abs/2009.01325")
    feedback: ClassVar = "reward"
    strength: ClassVar = "n"
    distributed: ClassVar = True
    grid: ClassVar = {"n": [2, 4, 8, 16]}

    n: Count = 4

    def train(self, context: Context) -> Policy:
        if context.reward_folder is None:
            raise ValueError("best_of_n needs a reward model that it can keep a copy of")
        reward = load_reward(context.reward_folder, context.device)
        return BestOfNPolicy(context.start(), reward, self.n)


class BestOfNPolicy(Policy):
    """The SFT policy, a reward model and n."""

    def __init__(self, base: ModelPolicy, reward: TextReward, n: int) -> None:
        self.base, self.reward, self.n = base, reward, n

    def generate(self, prompts: Sequence[str], seed: int, sampling: SamplingParams) -> list[str]:
        repeated = [prompt for prompt in prompts for _ in range(self.n)]
        responses = self.base.generate(repeated, seed, sampling)
        scores = self.reward(repeated, responses)
        return [responses[i] for i in best_of_each(scores, self.n)]

    def logprobs(self, prompts: Sequence[str], responses: Sequence[str], sampling: SamplingParams) -> None:
        return None

    def save(self, folder: Path) -> None:
        self.base.save(folder)
        (folder / POLICY_FILE).rename(folder / "base.json")
        self.reward.save(folder / "reward_model")
        save_kind(self, folder, n=self.n)

    @classmethod
    def load(cls, folder: Path, device: str) -> BestOfNPolicy:
        n = int(json.loads((folder / POLICY_FILE).read_text())["n"])
        reward = load_reward(folder / "reward_model", device)
        return cls(ModelPolicy.load(folder, device), reward, n)


def best_of_n_probabilities(reference: ndarray, scores: ndarray, n: int) -> ndarray:
    """Return the probability of each listed response under best of n.

    reference: probabilities [R] that sum to 1. P(x) = (F^n - F_-^n) ref(x) / P(tie class), where F
    and F_- are the probabilities of a score at most, and below, that of x: ties are broken evenly.
    """
    import numpy as np

    _, tie = np.unique(scores, return_inverse=True)
    mass = np.bincount(tie, weights=reference)
    upto = np.minimum(np.cumsum(mass), 1.0)
    below = np.concatenate([[0.0], upto[:-1]])
    probabilities: ndarray = ((upto**n - below**n) / mass)[tie] * reference
    return probabilities

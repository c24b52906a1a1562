"""Best of n: sample n responses from the SFT policy and keep the one with the highest reward."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Gt, Le

from methods.base import Context, Method, Paper, Policy
from methods.core.models.policy import POLICY_FILE, ModelPolicy, save_kind
from methods.core.models.reward import TextReward, load_reward
from methods.core.models.sampling import SamplingParams
from methods.core.online.rewards import best_of_each

if TYPE_CHECKING:
    from numpy import ndarray


@dataclass(frozen=True)
class BestOfN(Method):
    """Best-of-n sampling from the SFT policy.

    There is no training: every response costs n samples (Stiennon et al., 2020).

    Attributes:
        n: Responses to sample, of which the best is kept.
    """

    paper: ClassVar = Paper("Stiennon et al., 2020", "https://arxiv.org/abs/2009.01325")
    feedback: ClassVar = "reward"
    strength: ClassVar = "n"
    strength_reduces_kl: ClassVar = False
    distributed: ClassVar = True
    grid: ClassVar = {"n": [2, 4, 8, 16]}

    n: Annotated[int, Gt(0), Le(65_536)] = 4

    def train(self, context: Context) -> Policy:
        if context.reward_folder is None:
            raise ValueError("best_of_n needs a reward model that can be saved with the policy")
        reward = load_reward(context.reward_folder, context.device)
        return BestOfNPolicy(context.start(), reward, self.n)


class BestOfNPolicy(Policy):
    """A policy that samples n responses and returns the one with the highest reward.

    Attributes:
        base: The policy that is sampled.
        reward: The reward model.
        n: How many responses it samples.
    """

    def __init__(self, base: ModelPolicy, reward: TextReward, n: int) -> None:
        self.base, self.reward, self.n = base, reward, n

    def generate(self, prompts: Sequence[str], seed: int, sampling: SamplingParams) -> list[str]:
        repeated = [prompt for prompt in prompts for _ in range(self.n)]
        responses = self.base.generate(repeated, seed, sampling)
        rewards = self.reward(repeated, responses)
        return [responses[i] for i in best_of_each(rewards, self.n)]

    def logprobs(
        self, prompts: Sequence[str], responses: Sequence[str], sampling: SamplingParams
    ) -> None:
        """Return None: the probability of a response depends on all others."""
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


def best_of_n_probabilities(reference: ndarray, rewards: ndarray, n: int) -> ndarray:
    """Return the probability of each listed response under best of n.

    P(x) = (F(x)^n - F_(x)^n) ref(x) / M(x). F(x) is the probability of a reward of at most that of
    x, F_(x) that of a lower reward, and M(x) that of an equal one. Ties are broken at random.

    Args:
        reference: Probabilities of all responses under the policy that is sampled, [R].
        rewards: Their rewards, [R].
        n: Responses to sample.

    Returns:
        Probabilities, [R].
    """
    import numpy as np

    _, level = np.unique(rewards, return_inverse=True)
    equal = np.bincount(level, weights=reference)
    at_most = np.minimum(np.cumsum(equal), 1.0)
    below = np.concatenate([[0.0], at_most[:-1]])
    probabilities: ndarray = ((at_most**n - below**n) / equal)[level] * reference
    return probabilities

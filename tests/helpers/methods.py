"""PPO and DPO with settings by which they learn in a second, and how much they have learned."""

from __future__ import annotations

from helpers.models import PROMPTS, SAMPLING, likes_a

from methods.base import Policy
from methods.dpo import DPO
from methods.ppo import PPO

QUICK_PPO = PPO(
    kl_coef=0.02,
    episodes=1536,
    batch_size=64,
    learning_rate=5e-3,
    value_learning_rate=5e-3,
    value_init="zero",
    save_every=5,
)
QUICK_DPO = DPO(beta=0.5, examples=960, batch_size=32, learning_rate=2e-3)


def sampled_share_of_a(policy: Policy) -> float:
    """Return the share of the letter a in 300 sampled responses."""
    responses = policy.generate(PROMPTS * 100, 99, SAMPLING)
    return sum(likes_a(None, responses)) / len(responses)

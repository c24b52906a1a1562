"""PPO's arithmetic as pure functions of tensors [B, T]; mask is True on response tokens.

Schulman et al. 2016 (GAE, eq. 16), Schulman et al. 2017 (PPO, eq. 7), Ziegler et al. 2019 (the KL
penalty in the reward, eq. 2). Statistics are masked throughout: padding enters none of them.
"""

from __future__ import annotations

import torch
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the mask, as a scalar."""
    return torch.where(mask, values, 0.0).sum() / mask.sum()


def whiten(values: Tensor, mask: Tensor, epsilon: float = 1e-8) -> Tensor:
    """Return the values shifted and scaled to mean 0 and variance 1 over the mask; 0 outside."""
    mean = masked_mean(values, mask)
    variance = masked_mean((values - mean) ** 2, mask)
    return torch.where(mask, (values - mean) * torch.rsqrt(variance + epsilon), 0.0)


def token_rewards(
    scores: Tensor, logprobs: Tensor, reference_logprobs: Tensor, mask: Tensor, kl_coef: float
) -> Tensor:
    """Return -kl_coef (logp - logp_ref) at each token, plus the score [B] at the last one."""
    rewards = torch.where(mask, -kl_coef * (logprobs - reference_logprobs), 0.0)
    last = mask.sum(1, keepdim=True) - 1
    return rewards.scatter_add(1, last, scores.unsqueeze(1))


def gae(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float
) -> tuple[Tensor, Tensor]:
    """Return generalized advantage estimates and returns.

    values: [B, T + 1], the value before each token and after the last; a response is over after
    its last token, cut off or not, so the value there counts as 0.
    """
    alive = torch.cat([mask, torch.zeros_like(mask[:, :1])], dim=1).to(values.dtype)
    values = values * alive
    advantages = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        delta = rewards[:, t] + gamma * values[:, t + 1] - values[:, t]
        running = (delta + gamma * lam * running) * alive[:, t]
        advantages[:, t] = running
    return advantages, (advantages + values[:, :-1]) * alive[:, :-1]


def policy_loss(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor, clip: float
) -> Tensor:
    """Return the clipped surrogate loss, max(-A rho, -A clip(rho, 1 - clip, 1 + clip))."""
    ratio = torch.exp(torch.where(mask, logprobs - old_logprobs, 0.0))
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return masked_mean(torch.maximum(-advantages * ratio, -advantages * clipped), mask)


def value_loss(values: Tensor, old: Tensor, returns: Tensor, mask: Tensor, clip: float) -> Tensor:
    """Return half the larger of the clipped and the plain squared error."""
    clipped = torch.clamp(values, old - clip, old + clip)
    errors = torch.maximum((values - returns) ** 2, (clipped - returns) ** 2)
    return 0.5 * masked_mean(errors, mask)


def adapted_kl_coef(coef: float, kl: float, target: float, horizon: int, episodes: int) -> float:
    """Return the next KL coefficient of the proportional controller (Ziegler et al., sec. 2.2)."""
    error = min(max(kl / target - 1, -0.2), 0.2)
    return coef * (1 + error * episodes / horizon)

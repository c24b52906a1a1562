"""PPO's arithmetic as pure functions of tensors [B, T].

`mask` is True on response tokens. All statistics are masked: padding enters none of them.

Sources: Schulman et al. (2016), "High-dimensional continuous control using generalized advantage
estimation", equation 16; Schulman et al. (2017), "Proximal policy optimization algorithms",
equation 7; Ziegler et al. (2019), "Fine-tuning language models from human preferences", equation 2.
"""

from __future__ import annotations

import torch
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the mask, as a scalar."""
    return torch.where(mask, values, 0.0).sum() / mask.sum()


def whiten(values: Tensor, mask: Tensor, epsilon: float = 1e-8) -> Tensor:
    """Return the values with mean 0 and variance 1 over the mask, and 0 outside it.

    Args:
        values: [B, T].
        mask: [B, T].
        epsilon: Added to the variance, so that it is never 0.
    """
    mean = masked_mean(values, mask)
    variance = masked_mean((values - mean) ** 2, mask)
    return torch.where(mask, (values - mean) * torch.rsqrt(variance + epsilon), 0.0)


def token_rewards(
    rewards: Tensor, logprobs: Tensor, reference_logprobs: Tensor, mask: Tensor, kl_coef: float
) -> Tensor:
    """Return the reward of each token: a KL penalty, plus the response's reward at the last token.

    Ziegler et al. (2019), equation 2, with the penalty -kl_coef (logp - logp_ref) spread over the
    tokens.

    Args:
        rewards: Rewards of whole responses, [B].
        logprobs: Log-probabilities under the policy, [B, T] (nats).
        reference_logprobs: Log-probabilities under the reference, [B, T] (nats).
        mask: [B, T].
        kl_coef: Reward per nat.

    Returns:
        [B, T], 0 outside the mask.
    """
    penalties = torch.where(mask, -kl_coef * (logprobs - reference_logprobs), 0.0)
    last = mask.sum(1, keepdim=True) - 1
    return penalties.scatter_add(1, last, rewards.unsqueeze(1))


def gae(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float
) -> tuple[Tensor, Tensor]:
    """Return generalized advantage estimates and returns (Schulman et al., 2016, equation 16).

    A response is over after its last token, even if it was cut off, so the value there is taken
    as 0.

    Args:
        rewards: Rewards of the tokens, [B, T].
        values: Values before each token, and after the last, [B, T + 1].
        mask: [B, T].
        gamma: Discount factor.
        lam: Lambda: 0 trusts the values, 1 the rewards.

    Returns:
        Advantages and returns, each [B, T].
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
    """Return the clipped surrogate loss (Schulman et al., 2017, equation 7).

    The loss of a token is max(-A rho, -A clip(rho, 1 - clip, 1 + clip)), where rho is the ratio of
    new to old probability and A the advantage.

    Args:
        logprobs: Under the policy being trained, [B, T] (nats).
        old_logprobs: Under the policy that sampled the responses, [B, T] (nats).
        advantages: [B, T].
        mask: [B, T].
        clip: How far the ratio may move from 1.

    Returns:
        The mean over the mask, as a scalar.
    """
    ratio = torch.exp(torch.where(mask, logprobs - old_logprobs, 0.0))
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return masked_mean(torch.maximum(-advantages * ratio, -advantages * clipped), mask)


def value_loss(
    values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, clip: float
) -> Tensor:
    """Return half the mean of the larger of the clipped and the plain squared error.

    Args:
        values: Values of the model being trained, [B, T].
        old_values: Values before the update, [B, T].
        returns: Targets, [B, T].
        mask: [B, T].
        clip: How far a value may move from the old one.

    Returns:
        The mean over the mask, as a scalar.
    """
    clipped = torch.clamp(values, old_values - clip, old_values + clip)
    errors = torch.maximum((values - returns) ** 2, (clipped - returns) ** 2)
    return 0.5 * masked_mean(errors, mask)


def adapted_kl_coef(coef: float, kl: float, target: float, horizon: int, episodes: int) -> float:
    """Return the next KL coefficient of a proportional controller (Ziegler et al., section 2.2).

    Args:
        coef: The current coefficient.
        kl: The measured KL to the reference (nats).
        target: The KL to reach (nats).
        horizon: Episodes in which the coefficient adapts.
        episodes: Episodes since the last adaptation.
    """
    error = min(max(kl / target - 1, -0.2), 0.2)
    return coef * (1 + error * episodes / horizon)

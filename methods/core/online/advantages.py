"""Rewards of tokens, and the advantages that online methods make of them.

`mask` is True on response tokens. All statistics are masked: padding enters none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


# Added to a variance, so that it is never 0.
SMALL = 1e-8


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the mask, as a scalar."""
    return values.where(mask, 0.0).sum() / mask.sum()


def whiten(values: Tensor, mask: Tensor) -> Tensor:
    """Return the values with mean 0 and variance 1 over the mask, and 0 outside it.

    Args:
        values: [B, T].
        mask: [B, T].
    """
    mean = masked_mean(values, mask)
    variance = masked_mean((values - mean) ** 2, mask)
    return ((values - mean) * (variance + SMALL).rsqrt()).where(mask, 0.0)


def token_rewards(rewards: Tensor, log_ratios: Tensor, mask: Tensor, kl_coef: float) -> Tensor:
    """Return the reward of each token: a KL penalty, plus the response's reward at the last token.

    Ziegler et al. (2019), "Fine-tuning language models from human preferences", equation 2, with
    the penalty -kl_coef (logp - logp_ref) spread over the tokens.

    Args:
        rewards: Rewards of whole responses, [B].
        log_ratios: Log-probabilities under the policy minus those under the reference, [B, T].
        mask: [B, T].
        kl_coef: Reward per nat.

    Returns:
        [B, T], 0 outside the mask.
    """
    penalties = (-kl_coef * log_ratios).where(mask, 0.0)
    last = mask.sum(1, keepdim=True) - 1
    return penalties.scatter_add(1, last, rewards.unsqueeze(1))


def rewards_to_go(rewards: Tensor, mask: Tensor, gamma: float = 1.0) -> Tensor:
    """Return the discounted sum of the rewards from each token on.

    Args:
        rewards: Rewards of the tokens, [B, T].
        mask: [B, T].
        gamma: Discount factor per token.

    Returns:
        [B, T], 0 outside the mask.
    """
    returns = rewards.clone()
    for t in reversed(range(rewards.shape[1] - 1)):
        returns[:, t] += gamma * returns[:, t + 1]
    return returns.where(mask, 0.0)


def gae(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float
) -> tuple[Tensor, Tensor]:
    """Return generalized advantage estimates and returns.

    Schulman et al. (2016), "High-dimensional continuous control using generalized advantage
    estimation", equation 16. A response is over after its last token, even if it was cut off, so
    the value there is taken as 0.

    Args:
        rewards: Rewards of the tokens, [B, T].
        values: Values before each token, and after the last, [B, T + 1].
        mask: [B, T].
        gamma: Discount factor.
        lam: Lambda: 0 trusts the values, 1 the rewards.

    Returns:
        Advantages and returns, each [B, T].
    """
    import torch

    alive = torch.cat([mask, torch.zeros_like(mask[:, :1])], dim=1).to(values.dtype)
    values = values * alive
    advantages = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        delta = rewards[:, t] + gamma * values[:, t + 1] - values[:, t]
        running = (delta + gamma * lam * running) * alive[:, t]
        advantages[:, t] = running
    return advantages, (advantages + values[:, :-1]) * alive[:, :-1]


def group_advantages(rewards: Tensor, group: int, *, scale: bool) -> Tensor:
    """Return the rewards minus the means of their groups.

    Shao et al. (2024), "DeepSeekMath", section 4.1.2.

    Args:
        rewards: Rewards of whole responses, [B]. Neighbors answer the same prompt.
        group: Responses to each prompt.
        scale: Whether to divide by the standard deviation of the group.

    Returns:
        [B].
    """
    groups = rewards.view(-1, group)
    advantages = groups - groups.mean(1, keepdim=True)
    if scale:
        # Added to the deviation as in TRL, so that a group of equal rewards has advantages of 0.
        advantages = advantages / (groups.std(1, keepdim=True) + 1e-4)
    return advantages.flatten()


def leave_one_out(rewards: Tensor, group: int) -> Tensor:
    """Return the rewards minus the means of the others in their groups.

    Ahmadian et al. (2024), "Back to basics", equation 8.

    Args:
        rewards: Rewards of whole responses, [B]. Neighbors answer the same prompt.
        group: Responses to each prompt, at least 2.

    Returns:
        [B].
    """
    return group_advantages(rewards, group, scale=False) * group / (group - 1)


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> Tensor:
    """Return the share of the returns' variance that the values explain: 1 is perfect.

    Args:
        values: [B, T].
        returns: [B, T].
        mask: [B, T].

    Returns:
        A scalar, 0 where all returns are equal.
    """
    returns, errors = returns[mask], (returns - values)[mask]
    share = 1 - errors.var(correction=0) / returns.var(correction=0)
    return share.nan_to_num(0.0, 0.0, 0.0)


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

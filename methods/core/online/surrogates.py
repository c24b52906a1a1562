"""Losses of online methods, token by token, and their means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from methods.core.online.advantages import masked_mean

if TYPE_CHECKING:
    from torch import Tensor

Average = Literal["tokens", "responses", "length"]


def clipped_surrogate(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    clip: float,
    clip_high: float | None = None,
) -> Tensor:
    """Return the clipped surrogate loss of each token.

    Schulman et al. (2017), "Proximal policy optimization algorithms", equation 7: the loss is
    max(-A rho, -A clip(rho, 1 - clip, 1 + clip)), where rho is the ratio of new to old probability
    and A the advantage.

    Args:
        logprobs: Under the policy being trained, [B, T] (nats; 0 on padding).
        old_logprobs: Under the policy that sampled the responses, [B, T] (nats; 0 on padding).
        advantages: [B, T].
        clip: How far the ratio may move from 1.
        clip_high: How far it may move up, where that differs.

    Returns:
        [B, T].
    """
    ratio = (logprobs - old_logprobs).exp()
    clipped = ratio.clamp(1 - clip, 1 + (clip if clip_high is None else clip_high))
    return (-advantages * ratio).maximum(-advantages * clipped)


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, clip: float) -> Tensor:
    """Return half the larger of the clipped and the plain squared error of each value.

    Args:
        values: Values of the model being trained, [B, T].
        old_values: Values before the update, [B, T].
        returns: Targets, [B, T].
        clip: How far a value may move from the old one.

    Returns:
        [B, T].
    """
    clipped = values.clamp(old_values - clip, old_values + clip)
    return 0.5 * ((values - returns) ** 2).maximum((clipped - returns) ** 2)


def kl_estimate(logprobs: Tensor, reference_logprobs: Tensor) -> Tensor:
    """Return an estimate of the KL to the reference at each token that is never negative.

    Schulman (2020), "Approximating KL divergence": k3 = r - 1 - log r, with r the ratio of the
    reference's probability to the policy's. Shao et al. (2024), equation 4.

    Args:
        logprobs: Under the policy, [B, T] (nats; 0 on padding).
        reference_logprobs: Under the reference, [B, T] (nats; 0 on padding).

    Returns:
        [B, T], 0 on padding.
    """
    log_ratio = reference_logprobs - logprobs
    return log_ratio.exp() - 1 - log_ratio


def average(losses: Tensor, mask: Tensor, over: Average, longest: int) -> Tensor:
    """Return the mean of token losses, a scalar.

    Args:
        losses: [B, T].
        mask: [B, T].
        over: "tokens" weighs all tokens alike. "responses" averages over the tokens of each
            response, then over the responses. "length" replaces the length of each response by
            that of the longest possible one.
        longest: Tokens of the longest possible response.
    """
    if over == "tokens":
        return masked_mean(losses, mask)
    sums = losses.where(mask, 0.0).sum(1)
    return (sums / (mask.sum(1) if over == "responses" else longest)).mean()


def policy_metrics(
    logprobs: Tensor,
    old_logprobs: Tensor,
    mask: Tensor,
    clip: float,
    clip_high: float | None = None,
) -> dict[str, Tensor]:
    """Return how far the policy has moved from the one that sampled the responses.

    Args:
        logprobs: Under the policy being trained, [B, T] (nats).
        old_logprobs: Under the policy that sampled the responses, [B, T] (nats).
        mask: [B, T].
        clip: How far a ratio may move from 1.
        clip_high: How far it may move up, where that differs.

    Returns:
        `approx_kl`, the KL per token to the old policy (nats), and `clip_fraction`, the share of
        tokens whose ratio is outside the clip range.
    """
    logprobs, old_logprobs = logprobs.detach(), old_logprobs.detach()
    kl = kl_estimate(old_logprobs, logprobs)
    moved = (logprobs - old_logprobs).exp() - 1
    outside = (moved < -clip) | (moved > (clip if clip_high is None else clip_high))
    return {
        "approx_kl": masked_mean(kl, mask),
        "clip_fraction": masked_mean(outside.float(), mask),
    }

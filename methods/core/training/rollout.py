"""Rollouts: sampled responses with their rewards and log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from methods.core.models import distributed
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import Batch, token_logprobs
from methods.core.training.context import Context
from methods.core.training.length_batching import in_order
from methods.core.training.trainer import Diverged

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass
class Rollout:
    """Responses of the current policy, and what is measured of them before an update.

    Attributes:
        batch: Prompts and responses as tokens.
        logprobs: Log-probabilities of the response tokens, taken while sampling, [B, T] (nats).
        reference_logprobs: Log-probabilities under the reference, [B, T] (nats).
        rewards: Rewards of the responses, [B].
        ended: Whether each response has an end token, [B].
    """

    batch: Batch
    logprobs: Tensor
    reference_logprobs: Tensor
    rewards: Tensor
    ended: Tensor

    @classmethod
    def concatenate(cls, parts: Sequence[Rollout]) -> Rollout:
        """Return the rollouts of several processes as one."""
        if len(parts) == 1:
            return parts[0]
        import torch

        width = max(part.batch.width for part in parts)
        length = max(part.batch.responses.shape[1] for part in parts)
        batch = Batch(
            torch.cat([padded(p.batch.ids, p.batch.width, width, length) for p in parts]),
            torch.cat([padded(p.batch.mask, p.batch.width, width, length) for p in parts]),
            width,
        )
        return cls(
            batch,
            torch.cat([padded(p.logprobs, 0, 0, length) for p in parts]),
            torch.cat([padded(p.reference_logprobs, 0, 0, length) for p in parts]),
            torch.cat([p.rewards for p in parts]),
            torch.cat([p.ended for p in parts]),
        )

    def rows(self, rows: Tensor) -> Rollout:
        """Return some of the rows as a rollout."""
        tensors = (self.logprobs, self.reference_logprobs, self.rewards, self.ended)
        return Rollout(self.batch.rows(rows), *(tensor[rows] for tensor in tensors))

    def to(self, device: torch.device | str) -> Rollout:
        """Return the rollout on another device."""
        batch = Batch(self.batch.ids.to(device), self.batch.mask.to(device), self.batch.width)
        tensors = (self.logprobs, self.reference_logprobs, self.rewards, self.ended)
        return Rollout(batch, *(tensor.to(device) for tensor in tensors))

    @property
    def mask(self) -> Tensor:
        """Where the response tokens are, [B, T]."""
        return self.batch.response_mask

    @property
    def log_ratios(self) -> Tensor:
        """The log-ratio of policy to reference of each response, [B] (nats)."""
        return (self.logprobs - self.reference_logprobs).sum(1)

    def kl(self) -> float:
        """Return the mean sequence KL to the reference, estimated from the samples (nats)."""
        return float(self.log_ratios.mean())

    def metrics(self) -> dict[str, float]:
        """Return the metrics of the training curves."""
        return {
            "reward": float(self.rewards.mean()),
            "kl": self.kl(),
            "entropy": -float(self.logprobs.sum(1).mean()),
            "response_tokens": float(self.mask.sum(1).float().mean()),
        }


def padded(rows: Tensor, start: int, width: int, length: int) -> Tensor:
    """Return rows [B, start + t] as [B, width + length], with zeros on both sides."""
    import torch.nn.functional as F

    return F.pad(rows, (width - start, length - (rows.shape[1] - start)))


def draw_prompts(context: Context, update: int, count: int) -> list[str]:
    """Return the prompts of an update. None comes twice before all others have come once.

    They depend on the seed and the update only, so resuming needs no random state.

    Args:
        context: The context of the training.
        update: The number of the update, from 0.
        count: How many prompts to draw.
    """
    if context.loading.group_by_length:
        lengths = [len(prompt) for prompt in context.prompts]
        drawn = in_order(context.prompts, lengths, (update + 1) * count, count, context.seed)
        return drawn[-count:]
    random = Random(f"{context.seed} {update}")
    prompts: list[str] = []
    while len(prompts) < count:
        prompts += random.sample(context.prompts, len(context.prompts))
    return prompts[:count]


def collect(context: Context, policy: ModelPolicy, prompts: Sequence[str], seed: int) -> Rollout:
    """Sample one response to each prompt, and measure it by the reward and the reference.

    With several processes, each samples its part of the batch.

    Args:
        context: The context of the training.
        policy: The policy to sample.
        prompts: The prompts of the whole batch.
        seed: The same seed gives the same responses.

    Returns:
        The rollout of this process.
    """
    import torch

    policy.model.eval()
    part = distributed.batch_slice(len(prompts))
    local_prompts = prompts[part.first : part.first + distributed.local_batch_size(len(prompts))]
    batch, logprobs = policy.sample(local_prompts, seed, context.sampling, part)
    rewards = context.reward(local_prompts, policy.decode(batch))
    with torch.no_grad():
        reference = token_logprobs(context.reference.model, batch, context.sampling)
    end = policy.tokenizer.eos_token_id
    ended = ((batch.responses == end) & batch.response_mask).any(1)
    return Rollout(batch, logprobs, reference, torch.tensor(rewards, device=logprobs.device), ended)


def check_start(rollout: Rollout, logprobs: Tensor, tolerance: float) -> None:
    """Check that before the first update every probability ratio is 1 and every log-ratio 0.

    Otherwise sampling and scoring differ, and a method would optimize the difference.

    Args:
        rollout: Responses of the untrained policy.
        logprobs: Their log-probabilities as the loss computes them, [B, T] (nats).
        tolerance: How far a token's log-probabilities may be apart (nats).

    Raises:
        RuntimeError: They are further apart.
    """
    ratios = float((logprobs - rollout.logprobs)[rollout.mask].abs().max())
    kl = float((rollout.logprobs - rollout.reference_logprobs).abs().sum(1).max())
    if ratios > tolerance or kl > 10 * tolerance:
        raise RuntimeError(
            f"before the first update log-ratios reach {ratios:.2g} and the KL {kl:.2g}, not 0: "
            "sampling and scoring differ"
        )


def finite_rewards(
    context: Context, prompts: Sequence[str], responses: Sequence[str]
) -> list[float]:
    """Return the reward of each response.

    Raises:
        Diverged: A reward is not finite.
    """
    rewards = context.reward(prompts, responses)
    if not all(map(math.isfinite, rewards)):
        raise Diverged("a reward is not finite")
    return rewards


def best_of_each(rewards: Sequence[float], n: int) -> list[int]:
    """Return the place of the highest reward in each group of n neighbors, the first of equals."""
    groups = (range(start, start + n) for start in range(0, len(rewards), n))
    return [max(group, key=rewards.__getitem__) for group in groups]

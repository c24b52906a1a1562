"""Rollouts: sampled responses with their rewards and log-probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from methods.core.models import distributed
from methods.core.models.batch import Batch, by_length, padded, to_device
from methods.core.models.logprobs import token_logprobs
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams
from methods.core.models.text import end_token_ids
from methods.core.online.following import FollowingReference
from methods.core.online.rewards import check_rewards
from methods.core.training.context import Context

if TYPE_CHECKING:
    import torch
    from torch import Tensor


# What is not measured.
NOT_YET: Any = None


@dataclass
class Rollout:
    """Responses of the current policy, and what is measured of them before an update.

    Attributes:
        batch: Prompts and responses as tokens.
        logprobs: Log-probabilities of the response tokens, [B, T] (nats): those taken while
            sampling, or, if the sampler is not exact, those of the policy before the update.
        reference_logprobs: Log-probabilities under the reference, [B, T] (nats).
        rewards: Rewards of the responses, [B].
        ended: Whether each response has an end token, [B].
        values: A critic's values before each token, and after the last, [B, T + 1].
        baselines: What a method compares the rewards with, [B].
        advantages: [B, T].
        returns: A critic's targets, [B, T].
        sampler_logprobs: Those taken while sampling, if the sampler is not exact, [B, T] (nats).
    """

    batch: Batch
    logprobs: Tensor
    reference_logprobs: Tensor
    rewards: Tensor
    ended: Tensor
    values: Tensor = NOT_YET
    baselines: Tensor = NOT_YET
    advantages: Tensor = NOT_YET
    returns: Tensor = NOT_YET
    sampler_logprobs: Tensor = NOT_YET

    @classmethod
    def concatenate(cls, parts: Sequence[Rollout]) -> Rollout:
        """Return rollouts, as those of several processes, as one."""
        if len(parts) == 1:
            return parts[0]
        import torch

        batch = Batch.concatenate([part.batch for part in parts])
        length = batch.responses.shape[1]
        columns = [part.tensors() for part in parts]
        tensors = {name: [tensors[name] for tensors in columns] for name in columns[0]}
        for name, rows in tensors.items():
            if rows[0].dim() == 2:
                wide = length + (name == "values")
                tensors[name] = [padded(tensor, 0, 0, wide) for tensor in rows]
        return cls(batch, **{name: torch.cat(rows) for name, rows in tensors.items()})

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that have been measured, without the batch, by name."""
        names = [field.name for field in fields(self) if field.name != "batch"]
        tensors = {name: getattr(self, name) for name in names}
        return {name: tensor for name, tensor in tensors.items() if tensor is not None}

    def rows(self, rows: Sequence[int]) -> Rollout:
        """Return some of the rows as a rollout, as narrow as they allow."""
        import torch

        batch = self.batch.rows(rows).trimmed()
        cut = self.mask.shape[1] - batch.responses.shape[1]
        places = to_device(torch.tensor(rows), self.logprobs.device)
        parts = {name: tensor[places] for name, tensor in self.tensors().items()}
        for name, tensor in parts.items():
            if tensor.dim() == 2:
                parts[name] = tensor[:, : tensor.shape[1] - cut]
        return Rollout(batch, **parts)

    def to(self, device: torch.device | str) -> Rollout:
        """Return the rollout on another device."""
        ids, mask = self.batch.ids.to(device), self.batch.mask.to(device)
        batch = replace(self.batch, ids=ids, mask=mask)
        return Rollout(batch, **{n: tensor.to(device) for n, tensor in self.tensors().items()})

    @property
    def mask(self) -> Tensor:
        """Where the response tokens are, [B, T]."""
        return self.batch.response_mask

    @property
    def token_log_ratios(self) -> Tensor:
        """The log-ratio of policy to reference of each token, [B, T] (nats)."""
        return self.logprobs - self.reference_logprobs

    @property
    def log_ratios(self) -> Tensor:
        """The log-ratio of policy to reference of each response, [B] (nats)."""
        return self.token_log_ratios.sum(1)

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
            "ended_rate": float(self.ended.float().mean()),
        }


def draw_prompts(context: Context, update: int, count: int) -> list[str]:
    """Return the prompts of an update. None comes twice before all others have come once.

    They depend on the seed and the update only, so resuming needs no random state.

    Args:
        context: The context of the training.
        update: The number of the update, from 0.
        count: How many prompts to draw.
    """
    random = Random(f"{context.seed} {update}")
    prompts: list[str] = []
    while len(prompts) < count:
        prompts += random.sample(context.prompts, len(context.prompts))
    return prompts[:count]


def collect(
    context: Context,
    policy: ModelPolicy,
    prompts: Sequence[str],
    seed: int,
    following: FollowingReference | None = None,
) -> Rollout:
    """Sample one response to each prompt, and measure it by the reward and the reference.

    With several processes, each samples its part of the batch.

    Args:
        context: The context of the training.
        policy: The policy to sample.
        prompts: The prompts of the whole batch.
        seed: The same seed gives the same responses.
        following: The reference, if it follows the policy. By default it is that of the context.

    Returns:
        The rollout of this process.
    """
    import torch

    batch, logprobs, rewards = respond(context, policy, prompts, seed, context.sampling)
    score = partial(token_logprobs, sampling=context.sampling)
    engine, sampler_logprobs = policy.engine(context.sampling), NOT_YET
    chosen = following.in_place() if following else nullcontext(context.reference.model)
    with torch.no_grad():
        with chosen as model:
            reference = in_parts(score, model, batch)
        if engine is not None and not engine.exact:
            sampler_logprobs, logprobs = logprobs, in_parts(score, policy.model, batch)
    ends = torch.tensor(end_token_ids(policy.tokenizer), device=batch.ids.device)
    ended = (torch.isin(batch.responses, ends) & batch.response_mask).any(1)
    return Rollout(batch, logprobs, reference, rewards, ended, sampler_logprobs=sampler_logprobs)


def respond(
    context: Context,
    policy: ModelPolicy,
    prompts: Sequence[str],
    seed: int,
    sampling: SamplingParams,
) -> tuple[Batch, Tensor, Tensor]:
    """Sample one response to each prompt, and call the reward.

    Args:
        context: The context of the training.
        policy: The policy to sample.
        prompts: The prompts of the whole batch.
        seed: The same seed gives the same responses.
        sampling: How to sample.

    Returns:
        Of this process: the batch, the log-probabilities of its tokens, [B, T] (nats), and the
        rewards, [B].
    """
    import torch

    policy.model.eval()
    part = distributed.batch_slice(len(prompts))
    local_prompts = prompts[part.first : part.first + distributed.local_batch_size(len(prompts))]
    batch, logprobs = policy.sample(local_prompts, seed, sampling, part)
    rewards = context.reward(local_prompts, policy.decode(batch))
    return batch, logprobs, torch.tensor(rewards, device=logprobs.device)


def in_parts(
    compute: Callable[[Any, Batch], Tensor], model: Any, batch: Batch, after: int = 0
) -> Tensor:
    """Compute something of each response token, with rows of similar length in one pass.

    Args:
        compute: Returns values [b, t + after] of part of a batch.
        model: The first argument of `compute`.
        batch: Prompts and responses.
        after: How many more values than tokens there are.

    Returns:
        [B, T + after], 0 on padding.
    """
    import torch

    columns = batch.responses.shape[1] + after
    values = torch.zeros(len(batch.ids), columns, device=batch.ids.device)
    for rows in by_length(batch.lengths):
        computed = compute(model, batch.rows(rows).trimmed())
        places = to_device(torch.tensor(rows), values.device)
        values[places, : computed.shape[1]] = computed
    return values


def gather(rollout: Rollout) -> Rollout:
    """Return the rollouts of all processes as one.

    Raises:
        Diverged: A reward is not finite.
    """
    if distributed.is_distributed():
        # Every process has its own device, so they exchange tensors on the CPU.
        device = rollout.logprobs.device
        rollout = Rollout.concatenate(distributed.all_gather(rollout.to("cpu"))).to(device)
    check_rewards(rollout.rewards)
    return rollout


def interleave(first: Rollout, second: Rollout) -> Rollout:
    """Return two rollouts to the same prompts as one, with the responses to each as neighbors."""
    count = len(first.rewards)
    places = [place for row in range(count) for place in (row, row + count)]
    return Rollout.concatenate([first, second]).rows(places)

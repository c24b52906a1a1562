"""Rollouts: what a method samples and scores before each update."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from methods.core.models import distributed
from methods.core.training.context import Context
from methods.core.models.loading import inner
from methods.core.training.length_batching import in_order
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import Batch, token_logprobs
from methods.core.training.trainer import Diverged

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel


@dataclass
class Rollout:
    """Responses of the current policy and all that is known of them before the update.

    logprobs, reference_logprobs: [B, T], nats, the former taken while sampling; scores: [B], as the
    reward gave them; ended: [B].
    """

    batch: Batch
    logprobs: Tensor
    reference_logprobs: Tensor
    scores: Tensor
    ended: Tensor

    @classmethod
    def of(cls, parts: Sequence[Rollout]) -> Rollout:
        """Return the parts of several processes as one rollout."""
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
        tables = [
            torch.cat([padded(getattr(p, name), 0, 0, length) for p in parts])
            for name in ("logprobs", "reference_logprobs")
        ]
        rest = [torch.cat([getattr(p, name) for p in parts]) for name in ("scores", "ended")]
        return cls(batch, *tables, *rest)

    def part(self, rows: Tensor) -> Rollout:
        """Return the rows as a rollout of their own."""
        rest = (self.logprobs, self.reference_logprobs, self.scores, self.ended)
        return Rollout(self.batch.rows(rows), *(tensor[rows] for tensor in rest))

    def to(self, device: torch.device | str) -> Rollout:
        """Return the rollout on a device."""
        batch = Batch(self.batch.ids.to(device), self.batch.mask.to(device), self.batch.width)
        rest = (self.logprobs, self.reference_logprobs, self.scores, self.ended)
        return Rollout(batch, *(tensor.to(device) for tensor in rest))

    @property
    def mask(self) -> Tensor:
        return self.batch.response_mask

    @property
    def log_ratios(self) -> Tensor:
        """The log-ratio of policy to reference of each response, [B] (nats)."""
        return (self.logprobs - self.reference_logprobs).sum(1)

    def kl(self) -> float:
        """Return the mean sequence KL to the reference, estimated from the samples (nats)."""
        return float(self.log_ratios.mean())

    def metrics(self) -> dict[str, float]:
        """Return what a training curve shows of the samples."""
        return {
            "reward": float(self.scores.mean()),
            "kl": self.kl(),
            "entropy": -float(self.logprobs.sum(1).mean()),
            "response_tokens": float(self.mask.sum(1).float().mean()),
        }


def draw_prompts(context: Context, update: int, count: int) -> list[str]:
    """Return the prompts of an update, each as often as the others.

    They depend on seed and update alone: resuming needs no random state.
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


def finite_rewards(
    context: Context, prompts: Sequence[str], responses: Sequence[str]
) -> list[float]:
    """Return the reward of each response. Raises Diverged where one is not finite."""
    rewards = context.reward(prompts, responses)
    if not all(map(math.isfinite, rewards)):
        raise Diverged("a reward is not finite")
    return rewards


def best_of_each(scores: Sequence[float], n: int) -> list[int]:
    """Return where the best is of each n scores that follow one another, the first where equal."""
    groups = (range(start, start + n) for start in range(0, len(scores), n))
    return [max(group, key=scores.__getitem__) for group in groups]


def collect(context: Context, policy: ModelPolicy, prompts: Sequence[str], seed: int) -> Rollout:
    """Sample one response for each prompt, and score it with reward and reference.

    Where processes share the batch, this one's part of it.
    """
    import torch

    policy.model.eval()
    share = distributed.batch_slice(len(prompts))
    own = prompts[share.first : share.first + distributed.local_batch_size(len(prompts))]
    batch, logprobs = policy.sample(own, seed, context.sampling, share)
    scores = context.reward(own, policy.decode(batch))
    with torch.no_grad():
        reference = token_logprobs(context.reference.model, batch, context.sampling)
    end = policy.tokenizer.eos_token_id
    ended = ((batch.responses == end) & batch.response_mask).any(1)
    return Rollout(batch, logprobs, reference, torch.tensor(scores, device=logprobs.device), ended)


def padded(rows: Tensor, start: int, width: int, length: int) -> Tensor:
    """Return rows [B, start + t] as [B, width + length], with zeros on both sides of them."""
    import torch.nn.functional as F

    return F.pad(rows, (width - start, length - (rows.shape[1] - start)))


def token_values(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Return values [B, T + 1]: before each response token, and after the last."""
    classifier = inner(model)
    hidden = classifier.base_model(
        input_ids=batch.ids,
        attention_mask=batch.mask,
        position_ids=batch.positions,
        use_cache=False,
    ).last_hidden_state
    values: torch.Tensor = classifier.score(hidden[:, batch.width - 1 :]).float().squeeze(-1)
    return values

"""Rollouts: what PPO samples and scores before each update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from methods.core.context import Context
from methods.core.policy import ModelPolicy
from methods.core.sampling import Batch, token_logprobs

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel


@dataclass
class Rollout:
    """Responses of the current policy and all that is known of them before the update.

    logprobs, reference_logprobs: [B, T], nats, the former taken while sampling; values: [B, T + 1];
    scores: [B], as the reward gave them; ended: [B].
    """

    batch: Batch
    logprobs: Tensor
    reference_logprobs: Tensor
    values: Tensor
    scores: Tensor
    ended: Tensor

    def part(self, rows: Tensor) -> Rollout:
        """Return the rows as a rollout of their own."""
        batch = Batch(self.batch.ids[rows], self.batch.mask[rows], self.batch.width)
        rest = (self.logprobs, self.reference_logprobs, self.values, self.scores, self.ended)
        return Rollout(batch, *(tensor[rows] for tensor in rest))

    @property
    def mask(self) -> Tensor:
        return self.batch.response_mask

    def kl(self) -> float:
        """Return the mean sequence KL to the reference, estimated from the samples (nats)."""
        return float((self.logprobs - self.reference_logprobs).sum(1).mean())


def collect(
    context: Context,
    policy: ModelPolicy,
    value_model: PreTrainedModel,
    prompts: Sequence[str],
    seed: int,
) -> Rollout:
    """Sample one response for each prompt, and score it with reward, reference and value model."""
    import torch

    policy.model.eval()
    batch, logprobs = policy.sample(prompts, seed, context.law)
    scores = context.reward(prompts, policy.decode(batch))
    with torch.no_grad():
        reference = token_logprobs(context.reference.model, batch, context.law)
        values = token_values(value_model, batch)
    end = policy.tokenizer.eos_token_id
    ended = ((batch.responses == end) & batch.response_mask).any(1)
    return Rollout(
        batch, logprobs, reference, values, torch.tensor(scores, device=values.device), ended
    )


def token_values(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Return values [B, T + 1]: before each response token, and after the last."""
    hidden = model.base_model(
        input_ids=batch.ids,
        attention_mask=batch.mask,
        position_ids=batch.positions,
        use_cache=False,
    ).last_hidden_state
    values: torch.Tensor = model.score(hidden[:, batch.width - 1 :]).float().squeeze(-1)
    return values

"""REINFORCE with a baseline (Williams, 1992): the plain policy gradient of reward minus KL."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from methods.base import Context, Count, Diverged, NonNegative, Paper, Positive, Share
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import derive_seed, token_logprobs
from methods.core.training.rollout import collect, draw_prompts
from methods.core.training.trainer import autocast, isolated
from methods.toolkit.online import Online

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Reinforce(Online):
    """REINFORCE with a baseline.

    A response is one action. The gradient is the mean of
    (r - kl_coef * log-ratio - baseline) grad log p (Williams, 1992, theorem 1). Each batch of fresh
    responses gets one step, so neither clipping nor importance weights are needed.

    Attributes:
        kl_coef: Coefficient of the KL to the reference, in units of reward per nat.
        batch_size: Responses between updates.
        baseline_decay: Weight of the past in the baseline, a moving average of mean returns.
        max_grad_norm: Gradients are clipped to this norm.
    """

    paper: ClassVar = Paper("Williams, 1992", "https://doi.org/10.1007/BF00992696")
    strength: ClassVar = "kl_coef"
    strength_is_kl: ClassVar = True
    grid: ClassVar = {"kl_coef": [0.15, 0.3, 0.6, 1.2]}

    kl_coef: NonNegative = 0.2
    batch_size: Count = 32
    baseline_decay: Share = 0.8
    max_grad_norm: Positive = 1.0

    def train(self, context: Context) -> ModelPolicy:
        with isolated():
            return self._train(context)

    def _train(self, context: Context) -> ModelPolicy:
        import torch

        policy = context.start()
        parameters = list(policy.model.parameters())
        updates = self.batches(context, self.batch_size)
        optimizer = torch.optim.Adam(parameters, lr=self.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: 1 - step / max(1, updates)
        )
        mixed_precision = autocast(policy.model, context.device)
        baseline = None
        for update in range(updates):
            prompts = draw_prompts(context, update, self.batch_size)
            with mixed_precision:
                seed = derive_seed("reinforce", context.seed, update)
                rollout = collect(context, policy, prompts, seed)
                returns = rollout.rewards - self.kl_coef * rollout.log_ratios
                mean_return = float(returns.mean())
                baseline = mean_return if baseline is None else baseline
                logprobs = token_logprobs(policy.model, rollout.batch, context.sampling)
                loss = policy_gradient_loss(logprobs, returns - baseline)
            optimizer.zero_grad()
            loss.backward()
            norm = float(torch.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm))
            if not math.isfinite(norm):
                raise Diverged(f"gradient norm {norm} in update {update}")
            optimizer.step()
            schedule.step()
            baseline = self.baseline_decay * baseline + (1 - self.baseline_decay) * mean_return
            episodes = (update + 1) * self.batch_size
            context.log(episodes, **rollout.metrics(), baseline=baseline)
            context.checkpoint(episodes, updates * self.batch_size, policy)
        return policy


def policy_gradient_loss(logprobs: Tensor, advantages: Tensor) -> Tensor:
    """Return the loss whose gradient is minus the policy gradient.

    Args:
        logprobs: Log-probabilities of the response tokens, [B, T] (nats; 0 on padding).
        advantages: Advantages of whole responses, [B].
    """
    return -(advantages * logprobs.sum(1)).mean()

"""REINFORCE with a baseline (Williams, 1992): the plain policy gradient of reward less KL."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from methods.base import Context, Count, Diverged, NonNegative, Paper, Positive, Share
from methods.toolkit.online import Online
from methods.core.models.policy import ModelPolicy
from methods.core.training.rollout import collect, draw_prompts
from methods.core.models.sampling import derive_seed, token_logprobs
from methods.core.training.trainer import isolated, use_bf16

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Reinforce(Online):
    """REINFORCE with a baseline.

    A response is one action: the gradient is the mean of (r - kl_coef log-ratio - baseline) grad
    log p (Williams, 1992, theorem 1), with one step to a batch of fresh responses, so that nothing
    needs clipping or importance weights.

    kl_coef: weight of the KL to the reference, in units of the reward per nat. batch_size:
    responses between updates. baseline_decay: the baseline is a moving average of what past batches
    got, and this is the weight of the past. max_grad_norm: of the gradient.
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
        autocast = torch.autocast(
            torch.device(context.device).type,
            torch.bfloat16,
            enabled=use_bf16(policy.model, context.device),
        )
        baseline = None
        for update in range(updates):
            prompts = draw_prompts(context, update, self.batch_size)
            with autocast:
                seed = derive_seed("reinforce", context.seed, update)
                rollout = collect(context, policy, prompts, seed)
                returns = rollout.scores - self.kl_coef * rollout.log_ratios
                got = float(returns.mean())
                baseline = got if baseline is None else baseline
                logprobs = token_logprobs(policy.model, rollout.batch, context.sampling)
                loss = policy_gradient_loss(logprobs, returns - baseline)
            optimizer.zero_grad()
            loss.backward()
            norm = float(torch.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm))
            if not math.isfinite(norm):
                raise Diverged(f"gradient norm {norm} in update {update}")
            optimizer.step()
            schedule.step()
            baseline = self.baseline_decay * baseline + (1 - self.baseline_decay) * got
            done = (update + 1) * self.batch_size
            context.log(done, **rollout.metrics(), baseline=baseline)
            context.checkpoint(done, updates * self.batch_size, policy)
        return policy


def policy_gradient_loss(logprobs: Tensor, advantages: Tensor) -> Tensor:
    """Return the loss whose gradient is minus the policy gradient.

    logprobs: [B, T], 0 on padding; advantages: [B], of whole responses.
    """
    return -(advantages * logprobs.sum(1)).mean()

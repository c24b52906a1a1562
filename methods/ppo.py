"""Proximal policy optimization against the learned reward (Schulman et al., 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import mean, pstdev
from typing import TYPE_CHECKING, ClassVar, Literal

from methods.base import Context, Count, Diverged, Method, NonNegative, Paper, Positive, Share
from methods.core.models import distributed
from methods.core.models.loading import trainable_weights
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import derive_seed, token_logprobs
from methods.core.training.critic import gather_rollout, token_values
from methods.core.training.rollout import Rollout, check_start, collect, draw_prompts
from methods.core.training.trainer import autocast, isolated, use_bf16, whole_batches

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class PPO(Method):
    """Proximal policy optimization on the learned reward.

    PPO for language models, as in Ziegler et al. (2019), with a separate value model. The reward
    takes text, so it may have any tokenizer or none. All models run without dropout. The old
    log-probabilities are those taken while sampling.

    Attributes:
        kl_coef: Coefficient of the KL to the reference, in units of reward per nat.
        episodes: Responses in all. The budget may cut them.
        batch_size: Responses between updates.
        epochs: Passes over a batch.
        minibatches: Parts of a batch, with one optimizer step for each.
        learning_rate: Of the policy, at its peak.
        value_learning_rate: Of the value model, at its peak.
        clip: How far a probability ratio may move from 1.
        value_clip: How far a value may move from the old one.
        value_coef: Weight of the value loss. Adam makes value_learning_rate matter more.
        gamma: Discount factor per token.
        lam: Lambda of the advantage estimates.
        whiten: Whether to scale advantages to mean 0 and variance 1 over the response tokens.
        reward_scaling: "center" subtracts the mean reward of the first batch. "standardize" also
            divides by its standard deviation, and kl_coef is then in units of that. "none" does
            neither.
        kl_target: A KL to reach by adapting the coefficient (nats). None keeps it fixed.
        kl_horizon: Episodes in which the coefficient adapts.
        missing_end_reward: Replaces the reward of a response without end token. None keeps it.
        missing_end_penalty: Subtracted from the reward of a response without end token.
        max_grad_norm: The gradients of each model are clipped to this norm. None does not clip.
        value_init: Start of the critic: the reward model, or the SFT policy with a head of zeros.
        save_every: Updates between saves for resuming.
    """

    distributed: ClassVar = True
    paper: ClassVar = Paper("Ziegler et al., 2019", "https://arxiv.org/abs/1909.08593")
    feedback: ClassVar = "reward"
    strength: ClassVar = "kl_coef"
    strength_is_kl: ClassVar = True
    grid: ClassVar = {"kl_coef": [0.15, 0.3, 0.6, 1.2]}

    kl_coef: NonNegative = 0.2
    episodes: Count = 3072
    batch_size: Count = 96
    epochs: Count = 2
    minibatches: Count = 3
    learning_rate: Positive = 1.4e-3
    value_learning_rate: Positive = 2e-3
    clip: Positive = 0.1
    value_clip: Positive = 0.2
    value_coef: NonNegative = 0.1
    gamma: Share = 1.0
    lam: Share = 0.95
    whiten: bool = True
    reward_scaling: Literal["none", "center", "standardize"] = "center"
    kl_target: Positive | None = None
    kl_horizon: Count = 10000
    missing_end_reward: float | None = None
    missing_end_penalty: NonNegative = 0.0
    max_grad_norm: Positive | None = 1.0
    value_init: Literal["reward_model", "zero"] = "reward_model"
    save_every: Count = 20

    def train(self, context: Context) -> ModelPolicy:
        with isolated():
            run = _Run(self, context)
            run.resume()
            while run.update < run.updates:
                run.step()
        return run.policy


class _Run:
    """One training run: the models, the optimizer, and the state that resuming needs."""

    def __init__(self, method: PPO, context: Context) -> None:
        self.method, self.context = method, context
        self.policy = context.start()
        self.value_model = context.value_model(method.value_init)
        self.updates = whole_batches(method.episodes, context.budget, method.batch_size)
        self.update = 0
        self.kl_coef = method.kl_coef
        # What is subtracted from the rewards, and what divides them.
        self.shift, self.scale = 0.0, 1.0
        self._make_optimizer()

    def _make_optimizer(self) -> None:
        import torch

        device = self.context.device
        rates = (self.method.learning_rate, self.method.value_learning_rate)
        groups = [
            {"params": list(trainable_weights(model).values()), "lr": rate}
            for model, rate in zip(self._models().values(), rates, strict=True)
        ]
        optimizer = torch.optim.Adam(groups, eps=1e-5, fused=device.startswith("cuda"))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: 1 - step / max(1, self.updates)
        )
        self.optimizer = optimizer

    def _autocast(self) -> torch.autocast:
        return autocast(self.policy.model, self.context.device)

    def resume(self) -> None:
        """Continue from the last save, if there is one."""
        state = self.context.load_progress()
        if state is None:
            return
        for name, model in self._models().items():
            model.load_state_dict(state[name], strict=False)
        for name in ("optimizer", "schedule"):
            getattr(self, name).load_state_dict(state[name])
        self.update, self.kl_coef = state["update"], state["kl_coef"]
        self.shift, self.scale = state["shift"], state["scale"]

    def _save(self) -> None:
        names = ("update", "kl_coef", "shift", "scale")
        self.context.save_progress(
            {name: trainable_weights(model) for name, model in self._models().items()}
            | {name: getattr(self, name).state_dict() for name in ("optimizer", "schedule")}
            | {name: getattr(self, name) for name in names}
        )

    def _models(self) -> dict[str, PreTrainedModel]:
        return {"policy": self.policy.model, "value_model": self.value_model}

    def _set_reward_scale(self, rewards: list[float]) -> None:
        """Set shift and scale from the first batch, which the reference policy sampled."""
        if self.method.reward_scaling == "none":
            return
        self.shift = mean(rewards)
        if self.method.reward_scaling == "standardize":
            self.scale = pstdev(rewards) or 1.0

    def step(self) -> None:
        """Sample a batch of responses and learn from it."""
        import torch

        seed = derive_seed("rollout", self.context.seed, self.update)
        prompts = draw_prompts(self.context, self.update, self.method.batch_size)
        # Sampled at the precision of the training, so that the ratios start at 1.
        with self._autocast(), torch.no_grad():
            rollout = collect(self.context, self.policy, prompts, seed)
            values = token_values(self.value_model, rollout.batch)
        rollout, values = gather_rollout(rollout, values)
        if self.update == 0:
            self._set_reward_scale(rollout.rewards.tolist())
        advantages, returns = self._advantages(rollout, values)
        order = torch.Generator().manual_seed(seed)
        norms = []
        self._train_mode(True)
        for epoch in range(self.method.epochs):
            shuffled = torch.randperm(len(prompts), generator=order)
            for number, rows in enumerate(shuffled.chunk(self.method.minibatches)):
                tokens = rollout.mask[rows].sum()
                rows = rows[distributed.rank() :: distributed.world_size()].to(advantages.device)
                first = self.update == epoch == number == 0
                targets = (values[rows], advantages[rows], returns[rows])
                loss = self._loss(rollout.rows(rows), *targets, first)
                # The loss is a mean over tokens, and processes may have different numbers of them.
                weight = distributed.world_size() * rollout.mask[rows].sum() / tokens
                norms += self._descend(loss * weight)
        self._train_mode(False)
        # Read once, because each read makes a GPU wait. A loss that is not finite shows here too.
        worst = float(torch.stack(norms).max())
        if not math.isfinite(worst):
            raise Diverged(f"gradient norm {worst} in update {self.update}")
        self.schedule.step()
        self.update += 1
        self._adapt(rollout)
        size = self.method.batch_size
        self.context.checkpoint(self.update * size, self.updates * size, self.policy)
        if self.update % self.method.save_every == 0:
            self._save()

    def _train_mode(self, on: bool) -> None:
        """Switch training mode for gradient checkpointing, which works in training mode only.

        There is no dropout that the mode could switch on.
        """
        if self.context.loading.gradient_checkpointing:
            for model in self._models().values():
                model.train(on)

    def _advantages(
        self, rollout: Rollout, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        from methods.core.training.ppo_losses import gae, token_rewards, whiten

        method, mask = self.method, rollout.mask
        rewards = (rollout.rewards - self.shift) / self.scale
        if method.missing_end_reward is not None:
            rewards = rewards.masked_fill(~rollout.ended, method.missing_end_reward)
        rewards = rewards - method.missing_end_penalty * ~rollout.ended
        per_token = token_rewards(
            rewards, rollout.logprobs, rollout.reference_logprobs, mask, self.kl_coef
        )
        advantages, returns = gae(per_token, values, mask, method.gamma, method.lam)
        return whiten(advantages, mask) if method.whiten else advantages, returns

    def _loss(
        self,
        rollout: Rollout,
        old_values: torch.Tensor,
        advantages: torch.Tensor,
        returns: torch.Tensor,
        first: bool,
    ) -> torch.Tensor:
        from methods.core.training.ppo_losses import policy_loss, value_loss

        method, mask = self.method, rollout.mask
        with self._autocast():
            logprobs = token_logprobs(self.policy.model, rollout.batch, self.context.sampling)
            values = token_values(self.value_model, rollout.batch)[:, :-1]
        if first:
            bf16 = use_bf16(self.policy.model, self.context.device)
            check_start(rollout, logprobs, tolerance=0.5 if bf16 else 1e-2)
        policy = policy_loss(logprobs, rollout.logprobs, advantages, mask, method.clip)
        value = value_loss(values, old_values[:, :-1], returns, mask, method.value_clip)
        return policy + method.value_coef * value

    def _descend(self, loss: torch.Tensor) -> list[torch.Tensor]:
        """Take an optimizer step and return the norm of each model's gradient."""
        import torch

        loss.backward()
        for model in self._models().values():
            distributed.average_gradients(model.parameters())
        max_norm = math.inf if self.method.max_grad_norm is None else self.method.max_grad_norm
        norms = [
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
            for model in self._models().values()
        ]
        self.optimizer.step()
        self.optimizer.zero_grad()
        return norms

    def _adapt(self, rollout: Rollout) -> None:
        """Log the update, and adapt the KL coefficient if there is a target."""
        from methods.core.training.ppo_losses import adapted_kl_coef

        method = self.method
        self.context.log(self.update * method.batch_size, **rollout.metrics())
        if method.kl_target is not None:
            self.kl_coef = adapted_kl_coef(
                self.kl_coef, rollout.kl(), method.kl_target, method.kl_horizon, method.batch_size
            )

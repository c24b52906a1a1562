"""Proximal policy optimization against the learned reward (Schulman et al., 2017)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import mean, pstdev
from typing import ClassVar, Literal

from methods.base import Context, Count, NonNegative, Paper, Positive, Share
from methods.core.models.policy import ModelPolicy
from methods.core.online.advantages import (
    adapted_kl_coef,
    explained_variance,
    gae,
    masked_mean,
    token_rewards,
    whiten,
)
from methods.core.online.rollout import Rollout
from methods.core.online.run import OnlineRun
from methods.core.online.surrogates import clipped_surrogate, policy_metrics, value_loss
from methods.core.training.optimization import TrainedModel
from methods.core.training.trainer import isolated
from methods.toolkit.online import Online
from methods.toolkit.policy_gradient import Tensor


@dataclass(frozen=True)
class PPO(Online):
    """Proximal policy optimization on the learned reward.

    PPO for language models, as in Ziegler et al. (2019), with a separate value model. The reward
    takes text, so it may have any tokenizer or none. All models run without dropout. The old
    log-probabilities are those taken while sampling.

    Usual values are those of models with a billion parameters (Ziegler et al., 2019; Huang et al.,
    2024); the defaults are for the embedded tasks' tiny models.

    Attributes:
        kl_coef: Coefficient of the KL to the reference, reward per nat. Usually 0.01 to 0.2.
        learning_rate: Of the policy, at its start. It falls linearly to 0. Usually 1e-6 to 1e-5.
        value_learning_rate: Of the value model, likewise. Usually that of the policy or more.
        episodes: Responses in all. The budget may cut them. Usually 1e4 to 1e6.
        batch_size: Responses between updates. Usually 64 to 1024.
        epochs: Passes over a batch. Usually 1 to 4.
        minibatches: Parts of a batch, with one optimizer step for each. Usually 1 to 8.
        clip: How far a probability ratio may move from 1. Usually 0.2.
        value_clip: How far a value may move from the old one. Usually 0.2.
        value_coef: Weight of the value loss. Usually 0.1. With Adam, value_learning_rate matters
            more.
        gamma: Discount factor per token. Usually 1.
        lam: Lambda of the advantage estimates. Usually 0.95 to 1.
        whiten: Whether to scale advantages to mean 0 and variance 1 over the response tokens.
        reward_scaling: "center" subtracts the mean reward of the first batch. "standardize" also
            divides by its standard deviation, and kl_coef is then in units of that. "none" does
            neither.
        kl_target: A KL to reach by adapting the coefficient (nats). None keeps it fixed. Usually 6.
        kl_horizon: Episodes in which the coefficient adapts. Usually 1e4.
        reference_decay: Lets the reference follow the policy, as in Xu et al. (2024, section 5):
            after each update its weights become this share of its own and the rest of the policy's.
            The KL penalty, kl_target and the training curves' KL are then those to the moving
            reference, so the policy gets further from the SFT policy. None keeps the SFT policy.
        missing_end_reward: Replaces the reward, after scaling, of a response without end token.
            None keeps it. Usually -1.
        missing_end_penalty: Subtracted from it likewise.
        max_grad_norm: The gradients of each model are clipped to this norm. None does not clip.
            Usually 1.
        value_init: Start of the critic: the reward model, its outputs scaled as the rewards are, or
            the SFT policy with a head of zeros.
        save_every: Updates between saves for resuming.
    """

    distributed: ClassVar = True
    paper: ClassVar = Paper("Ziegler et al., 2019", "https://arxiv.org/abs/1909.08593")
    strength: ClassVar = "kl_coef"
    grid: ClassVar = {"kl_coef": [0.01, 0.03, 0.08, 0.2, 0.5]}

    kl_coef: NonNegative = 0.2
    learning_rate: Positive = 1.4e-3
    value_learning_rate: Positive = 2e-3
    episodes: Count = 3072
    batch_size: Count = 96
    epochs: Count = 2
    minibatches: Count = 3
    clip: Positive = 0.1
    value_clip: Positive = 0.2
    value_coef: NonNegative = 0.1
    gamma: Share = 1.0
    lam: Share = 0.95
    whiten: bool = True
    reward_scaling: Literal["none", "center", "standardize"] = "center"
    kl_target: Positive | None = None
    kl_horizon: Count = 10000
    reference_decay: Share | None = None
    missing_end_reward: float | None = None
    missing_end_penalty: NonNegative = 0.0
    max_grad_norm: Positive | None = 1.0
    value_init: Literal["reward_model", "zero"] = "reward_model"
    save_every: Count = 20

    @property
    def strength_is_kl(self) -> bool:  # type: ignore[override]
        """Whether `kl_coef` is that of the KL to the SFT policy: not if the reference moves."""
        return self.reference_decay in (None, 1.0)

    def train(self, context: Context) -> ModelPolicy:
        with isolated():
            critic = TrainedModel(context.value_model(self.value_init), self.value_learning_rate)
            state = {"kl_coef": self.kl_coef, "shift": 0.0, "scale": 1.0}
            decay = self.reference_decay
            run = OnlineRun(context, self, critic=critic, state=state, reference_decay=decay)
            predicts_rewards = context.starts_from_reward(self.value_init)
            for update in run.batches():
                # Collect responses with their rewards, log-probabilities and values.
                rollout = run.collect()
                if update == 0:
                    run.state |= self.reward_scale(rollout.rewards.tolist())
                value_shift, value_scale = 0.0, 1.0
                if predicts_rewards:
                    value_shift, value_scale = run.state["shift"], run.state["scale"]
                rollout = replace(rollout, values=(rollout.values - value_shift) / value_scale)
                # Advantages.
                rewards = self.token_rewards(rollout, **run.state)
                advantages, returns = gae(
                    rewards, rollout.values, rollout.mask, self.gamma, self.lam
                )
                if self.whiten:
                    advantages = whiten(advantages, rollout.mask)
                rollout = replace(rollout, advantages=advantages, returns=returns)
                # Epochs of minibatches.
                for part in run.minibatches(rollout):
                    logprobs = run.logprobs(part)
                    values = (run.values(part) - value_shift) / value_scale
                    policy_losses = clipped_surrogate(
                        logprobs, part.logprobs, part.advantages, self.clip
                    )
                    value_losses = value_loss(
                        values, part.values[:, :-1], part.returns, self.value_clip
                    )
                    policy_mean = masked_mean(policy_losses, part.mask)
                    value_mean = masked_mean(value_losses, part.mask)
                    run.backward(
                        policy_mean + self.value_coef * value_mean,
                        value_loss=value_mean,
                        **policy_metrics(logprobs, part.logprobs, part.mask, self.clip),
                    )
                # Log, keep a checkpoint, save.
                kl_coef = run.state["kl_coef"]
                run.state["kl_coef"] = self.next_kl_coef(kl_coef, rollout)
                explained = explained_variance(rollout.values[:, :-1], returns, rollout.mask)
                run.end_update(explained_variance=explained, kl_coef=kl_coef)
            return run.policy

    def reward_scale(self, rewards: list[float]) -> dict[str, float]:
        """Return what is subtracted from all rewards, and what then divides them.

        Args:
            rewards: Of the first batch, which the reference policy sampled.

        Returns:
            `shift` and `scale`, by name.
        """
        if self.reward_scaling == "none":
            return {"shift": 0.0, "scale": 1.0}
        scale = pstdev(rewards) if self.reward_scaling == "standardize" else 1.0
        return {"shift": mean(rewards), "scale": scale or 1.0}

    def token_rewards(self, rollout: Rollout, kl_coef: float, shift: float, scale: float) -> Tensor:
        """Return the reward of each token, [B, T]: the KL penalty, and the reward at the end."""
        rewards = (rollout.rewards - shift) / scale
        if self.missing_end_reward is not None:
            rewards = rewards.masked_fill(~rollout.ended, self.missing_end_reward)
        rewards = rewards - self.missing_end_penalty * ~rollout.ended
        return token_rewards(rewards, rollout.token_log_ratios, rollout.mask, kl_coef)

    def next_kl_coef(self, kl_coef: float, rollout: Rollout) -> float:
        """Return the KL coefficient of the next update: the same, unless there is a target."""
        if self.kl_target is None:
            return kl_coef
        target, horizon = self.kl_target, self.kl_horizon
        return adapted_kl_coef(kl_coef, rollout.kl(), target, horizon, self.batch_size)

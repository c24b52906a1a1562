"""Proximal policy optimization against the learned reward (Schulman et al., 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import mean, pstdev
from typing import TYPE_CHECKING, ClassVar, Literal

from methods.base import Context, Count, Diverged, Method, NonNegative, Paper, Positive, Share
from methods.core.models import distributed
from methods.core.models.policy import ModelPolicy
from methods.core.training.rollout import Rollout, collect, draw_prompts, padded, token_values
from methods.core.models.sampling import derive_seed, token_logprobs
from methods.core.training.trainer import isolated, use_bf16, whole_batches

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class PPO(Method):
    """Proximal policy optimization on the learned reward.

    As Ziegler et al. (2019) brought it to language models, with a value model of its own. The
    reward is text in and floats out, so it may have any tokenizer or none. All four models run
    without dropout; old log-probabilities are those taken while sampling, under the one sampling.

    kl_coef: weight of the KL to the reference, in units of the reward per nat. episodes: responses
    in all, cut to the budget. batch_size: responses between updates. epochs, minibatches: passes
    over a batch, and parts of it per pass. clip, value_clip: the clipping ranges. value_coef: in
    the joint loss (Adam makes value_learning_rate what counts). gamma, lam: of the advantages.
    whiten: advantages to mean 0, variance 1 over response tokens. reward_scaling: "center"
    subtracts the mean on reference responses, "standardize" also divides by their standard
    deviation (kl_coef is then in those units), "none" does neither. kl_target: off; a KL in nats
    switches the adaptive coefficient on, with kl_horizon episodes. missing_end_score: off; a
    number replaces the score of a response without end token. missing_end_penalty: subtracted from
    it. max_grad_norm: of each model. value_init: the critic starts from the reward model, or from
    the SFT policy with a head of zeros. save_every: updates between saves for resuming.
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
    missing_end_score: float | None = None
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
    """One training run: the models, the optimizer, and what must survive a stop."""

    def __init__(self, method: PPO, context: Context) -> None:
        self.method, self.context = method, context
        self.policy = context.start()
        self.value_model = context.value_model(method.value_init)
        self.updates = whole_batches(method.episodes, context.budget, method.batch_size)
        self.update = 0
        self.kl_coef = method.kl_coef
        self.shift, self.scale = 0.0, 1.0
        self._prepare()

    def _prepare(self) -> None:
        import torch

        device = self.context.device
        rates = (self.method.learning_rate, self.method.value_learning_rate)
        groups = [
            {"params": list(trained(model).values()), "lr": rate}
            for model, rate in zip((self.policy.model, self.value_model), rates, strict=True)
        ]
        optimizer = torch.optim.Adam(groups, eps=1e-5, fused=device.startswith("cuda"))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: 1 - step / max(1, self.updates)
        )
        self.optimizer = optimizer
        self.bf16 = use_bf16(self.policy.model, device)

    def _autocast(self) -> torch.autocast:
        import torch

        kind = torch.device(self.context.device).type
        return torch.autocast(kind, torch.bfloat16, enabled=self.bf16)

    def resume(self) -> None:
        """Go on from the last save, if there is one."""
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
            {name: trained(model) for name, model in self._models().items()}
            | {name: getattr(self, name).state_dict() for name in ("optimizer", "schedule")}
            | {name: getattr(self, name) for name in names}
        )

    def _models(self) -> dict[str, PreTrainedModel]:
        return {"policy": self.policy.model, "value_model": self.value_model}

    def _measure_reward(self, scores: list[float]) -> None:
        """Set shift and scale by the first batch: the policy is the reference then."""
        if self.method.reward_scaling == "none":
            return
        self.shift = mean(scores)
        if self.method.reward_scaling == "standardize":
            self.scale = pstdev(scores) or 1.0

    def step(self) -> None:
        """Sample a batch of responses and learn from it."""
        import torch

        seed = derive_seed("rollout", self.context.seed, self.update)
        prompts = draw_prompts(self.context, self.update, self.method.batch_size)
        # Sampled at the precision that is trained at, or the ratios would not start at 1.
        with self._autocast(), torch.no_grad():
            rollout = collect(self.context, self.policy, prompts, seed)
            values = token_values(self.value_model, rollout.batch)
        rollout, values = shared(rollout, values)
        if self.update == 0:
            self._measure_reward(rollout.scores.tolist())
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
                loss = self._loss(rollout.part(rows), *targets, first)
                # A mean over tokens, of which the processes may have different numbers.
                share = distributed.world_size() * rollout.mask[rows].sum() / tokens
                norms += self._descend(loss * share)
        self._train_mode(False)
        # Looked at once, for each look makes a GPU wait. A loss that is not finite shows here too.
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
        """Switch modes where activations are computed anew: transformers does so in training alone.

        There is no dropout that the mode would switch on.
        """
        if self.context.loading.gradient_checkpointing:
            for model in self._models().values():
                model.train(on)

    def _advantages(
        self, rollout: Rollout, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        from methods.core.training.ppo_losses import gae, token_rewards, whiten

        method, mask = self.method, rollout.mask
        scores = (rollout.scores - self.shift) / self.scale
        if method.missing_end_score is not None:
            scores = scores.masked_fill(~rollout.ended, method.missing_end_score)
        scores = scores - method.missing_end_penalty * ~rollout.ended
        rewards = token_rewards(
            scores, rollout.logprobs, rollout.reference_logprobs, mask, self.kl_coef
        )
        advantages, returns = gae(rewards, values, mask, method.gamma, method.lam)
        return whiten(advantages, mask) if method.whiten else advantages, returns

    def _loss(
        self,
        part: Rollout,
        old_values: torch.Tensor,
        advantages: torch.Tensor,
        returns: torch.Tensor,
        first: bool,
    ) -> torch.Tensor:
        from methods.core.training.ppo_losses import policy_loss, value_loss

        method, mask = self.method, part.mask
        with self._autocast():
            logprobs = token_logprobs(self.policy.model, part.batch, self.context.sampling)
            values = token_values(self.value_model, part.batch)[:, :-1]
        if first:
            check_untouched(part, logprobs, 0.5 if self.bf16 else 1e-2)
        policy = policy_loss(logprobs, part.logprobs, advantages, mask, method.clip)
        value = value_loss(values, old_values[:, :-1], returns, mask, method.value_clip)
        return policy + method.value_coef * value

    def _descend(self, loss: torch.Tensor) -> list[torch.Tensor]:
        """Take a step; return the norm of each model's gradient."""
        import torch

        loss.backward()
        for model in self._models().values():
            distributed.average_gradients(model.parameters())
        largest = math.inf if self.method.max_grad_norm is None else self.method.max_grad_norm
        norms = [
            torch.nn.utils.clip_grad_norm_(model.parameters(), largest)
            for model in (self.policy.model, self.value_model)
        ]
        self.optimizer.step()
        self.optimizer.zero_grad()
        return norms

    def _adapt(self, rollout: Rollout) -> None:
        """Log the update, and move the KL coefficient if it has a target."""
        from methods.core.training.ppo_losses import adapted_kl_coef

        method = self.method
        self.context.log(self.update * method.batch_size, **rollout.metrics())
        if method.kl_target is not None:
            self.kl_coef = adapted_kl_coef(
                self.kl_coef, rollout.kl(), method.kl_target, method.kl_horizon, method.batch_size
            )


def shared(rollout: Rollout, values: torch.Tensor) -> tuple[Rollout, torch.Tensor]:
    """Return the rollout of all processes, and its values [B, T + 1]."""
    if not distributed.is_distributed():
        return rollout, values
    import torch

    # Each process has a device of its own: what they tell each other is on none.
    device = values.device
    parts = distributed.all_gather((rollout.to("cpu"), values.cpu()))
    whole = Rollout.of([part for part, _ in parts])
    length = whole.mask.shape[1] + 1
    joined = torch.cat([padded(own, 0, 0, length) for _, own in parts])
    return whole.to(device), joined.to(device)


def trained(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Return the weights that are trained, by name: all of them, or those of adapters."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def check_untouched(rollout: Rollout, logprobs: torch.Tensor, tolerance: float) -> None:
    """Raise unless, before the first update, every ratio is 1 and the KL is 0.

    If they are not, sampling and scoring differ, and PPO would chase the difference.
    """
    ratios = float((logprobs - rollout.logprobs)[rollout.mask].abs().max())
    kl = float((rollout.logprobs - rollout.reference_logprobs).abs().sum(1).max())
    if ratios > tolerance or kl > 10 * tolerance:
        raise RuntimeError(
            f"before the first update log-ratios reach {ratios:.2g} and the KL {kl:.2g}, not 0: "
            "sampling and scoring differ"
        )

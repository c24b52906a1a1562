"""The loop of online methods: collect responses, learn from them in minibatches, log, save."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from methods.core.models.loading import use_bf16
from methods.core.models.logprobs import token_logprobs
from methods.core.models.sampling import SamplingParams, derive_seed
from methods.core.online.agreement import Agreement, weighted
from methods.core.online.critic import token_values
from methods.core.online.following import FollowingReference
from methods.core.online.learning import Learning
from methods.core.online.rewards import gather_rewards
from methods.core.online.rollout import (
    Rollout,
    collect,
    draw_prompts,
    gather,
    in_parts,
    respond,
)
from methods.core.online.settings import OnlineSettings
from methods.core.online.surrogates import Average
from methods.core.training.context import Context
from methods.core.training.optimization import Optimization, TrainedModel
from methods.core.training.trainer import whole_batches

if TYPE_CHECKING:
    from torch import Tensor


class OnlineRun:
    """One training of an online method. It resumes where the last save left it.

    Args:
        context: The context of the training.
        settings: The hyper-parameters.
        critic: The value model to train, if there is one.
        state: What a method keeps between updates, at the start.
        reference_decay: Share of itself that the reference keeps after each update; the rest is the
            policy's. None keeps the SFT policy as the reference.

    Attributes:
        context: The context of the training.
        policy: The policy that is trained.
        critic: The value model that is trained with it, if there is one.
        update: The number of the current update, from 0.
        updates: How many there are.
        state: What a method keeps between updates: plain values, saved with the rest.
    """

    def __init__(
        self,
        context: Context,
        settings: OnlineSettings,
        *,
        critic: TrainedModel | None = None,
        state: Mapping[str, Any] | None = None,
        reference_decay: float | None = None,
    ) -> None:
        self.context, self.settings = context, settings
        self.policy = context.start()
        self.critic = critic.model if critic else None
        self._following: FollowingReference | None = None
        if reference_decay is not None:
            self._following = FollowingReference(self.policy, 1 - reference_decay)
        self.updates = whole_batches(settings.episodes, context.budget, settings.batch_size)
        self.state: dict[str, Any] = dict(state or {})
        models = {"policy": TrainedModel(self.policy.model, settings.learning_rate)}
        if critic:
            models["critic"] = critic
        self._optimization = Optimization(
            context,
            models,
            max(1, self.updates * settings.epochs * settings.minibatches),
            max_grad_norm=settings.max_grad_norm,
            epsilon=1e-5,
        )
        self.update = 0
        self._learning = Learning(self._optimization, settings)
        bf16 = use_bf16(self.policy.model, context.device)
        self._agreement = Agreement(self.policy, context.sampling, bf16=bf16)
        self._rollout: Rollout | None = None
        self._started = self._sampled = time.perf_counter()
        self._resume()

    def batches(self) -> Iterator[int]:
        """Yield the number of each update that is left, from 0. Each must call `end_update`."""
        while self.update < self.updates:
            self._started = self._sampled = time.perf_counter()
            yield self.update

    def prompts(self, responses: int = 1) -> list[str]:
        """Return the prompts of this update: as many as leave `responses` for each."""
        return draw_prompts(self.context, self.update, self.settings.batch_size // responses)

    def seed(self, purpose: str = "rollout") -> int:
        """Return the seed of a purpose in this update."""
        return derive_seed(purpose, self.context.seed, self.update)

    def collect(self, group: int = 1, prompts: Sequence[str] | None = None) -> Rollout:
        """Sample this update's responses, and measure them by reward, reference and critic.

        Args:
            group: Responses to each prompt, which are neighbors in the batch.
            prompts: The prompts, if the policy's responses are not all that the update samples. By
                default as many as fill the batch.

        Returns:
            The rollouts of all processes.
        """
        import torch

        distinct = self.prompts(group) if prompts is None else prompts
        repeated = [prompt for prompt in distinct for _ in range(group)]
        # Sampled at the precision of the training, so that the ratios start at 1.
        with self._optimization.autocast(), torch.no_grad():
            rollout = collect(self.context, self.policy, repeated, self.seed(), self._following)
            self._agreement.check_rollout(rollout, self.update)
            if self.critic is not None:
                rollout = replace(
                    rollout, values=in_parts(token_values, self.critic, rollout.batch, 1)
                )
        self._rollout = gather(rollout)
        return self._rollout

    def collect_reference(self, prompts: Sequence[str]) -> Rollout:
        """Sample and measure one response of the reference to each of the given prompts."""
        import torch

        with self._optimization.autocast(), torch.no_grad():
            policy = self.context.reference
            return gather(collect(self.context, policy, prompts, self.seed("reference")))

    def baselines(self, prompts: Sequence[str], sampling: SamplingParams | None = None) -> Tensor:
        """Return the reward of another response of the policy to each prompt, [B].

        Args:
            prompts: The prompts of all processes.
            sampling: How to sample it. By default as all responses are sampled.
        """
        sampling = sampling or self.context.sampling
        with self._optimization.autocast():
            *_, rewards = respond(
                self.context, self.policy, prompts, self.seed("baseline"), sampling
            )
        return gather_rewards(rewards)

    def minibatches(
        self, rollout: Rollout, over: Average = "tokens", group: int = 1
    ) -> Iterator[Rollout]:
        """Yield the minibatches of all epochs, in parts that fit into memory.

        For each part, compute the mean loss and call `backward`. When a minibatch is through, its
        parts' gradients make one optimizer step. If a part does not fit into memory after all, the
        minibatch starts anew in smaller parts.

        Args:
            rollout: The rollouts of all processes.
            over: What the loss is a mean of: see `average`.
            group: Rows that stay together, where a loss compares them.
        """
        self._sampled = time.perf_counter()
        yield from self._learning.minibatches(weighted(rollout), over, group, self.seed())

    def logprobs(self, part: Rollout) -> Tensor:
        """Return the policy's log-probabilities of the response tokens, [B, T] (nats).

        Raises:
            RuntimeError: Before the first step, they differ from those taken while sampling.
        """
        logprobs = self._learning.computed(
            lambda: token_logprobs(self.policy.model, part.batch, self.context.sampling),
            part.logprobs,
        )
        if self.update == 0 and self._learning.fits:
            self._agreement.check_start(part, logprobs)
        return logprobs

    def values(self, part: Rollout) -> Tensor:
        """Return the critic's values before each response token, [B, T].

        Raises:
            ValueError: The run has no critic.
        """
        if self.critic is None:
            raise ValueError("this run has no critic")
        critic = self.critic
        return self._learning.computed(
            lambda: token_values(critic, part.batch)[:, :-1], part.values[:, :-1]
        )

    def backward(self, loss: Tensor, **metrics: Tensor) -> None:
        """Add the gradient of a part's mean loss.

        Args:
            loss: A scalar.
            **metrics: What to log of this part, as scalars: their means over the update.
        """
        self._learning.backward(loss, **metrics)

    def end_update(self, **metrics: float | Tensor) -> None:
        """Log the update, move the reference, keep a checkpoint if one is due, and save.

        Args:
            **metrics: What to log of this update beside what is logged of all.

        Raises:
            Diverged: A gradient is not finite.
        """
        now = time.perf_counter()
        seconds = {
            "sampling_seconds": self._sampled - self._started,
            "learning_seconds": now - self._sampled,
        }
        rollout_metrics = self._rollout.metrics() if self._rollout else {}
        learning = {"learning_rate": self._optimization.learning_rate()}
        norms = self._optimization.gradient_norms()
        self.update += 1
        if self._following:
            self._following.after_step(self.update)
        size = self.settings.batch_size
        self.context.log(
            self.update * size,
            **rollout_metrics,
            **self._agreement.take_metrics(),
            **self._learning.means(),
            **{name: float(metric) for name, metric in metrics.items()},
            **norms,
            **learning,
            **seconds,
        )
        self.context.checkpoint(self.update * size, self.updates * size, self.policy)
        if self.update % self.settings.save_every == 0:
            self._save()

    def _save(self) -> None:
        progress = {"update": self.update, "state": self.state}
        if self._following:
            progress["reference"] = self._following.state_dict()
        self.context.save_progress({**self._optimization.state_dict(), **progress})

    def _resume(self) -> None:
        saved = self.context.load_progress()
        if saved is not None:
            self._optimization.load_state_dict(saved)
            self.update, self.state = saved["update"], saved["state"]
            if self._following:
                self._following.load_state_dict(saved["reference"])

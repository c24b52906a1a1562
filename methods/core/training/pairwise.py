"""A small trainer for losses on the log-probabilities of labeled responses: pairs or single ones.

With the loss of DPO it does what TRL's DPOTrainer does, and with that of KTO what its KTOTrainer
does. The tests compare them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from methods.core.models import distributed
from methods.core.models.batch import Batch
from methods.core.models.logprobs import of_tokens, over_vocabulary, token_logprobs
from methods.core.models.policy import ModelPolicy
from methods.core.training.context import Context
from methods.core.training.examples import (
    PLAIN,
    Example,
    Examples,
    local_rows,
    micro_batches,
    training_rows,
)
from methods.core.training.logprobs import (
    PairLogprobs,
    TokenLogprobs,
    UnpairedLogprobs,
    tokens_and_collisions,
)
from methods.core.training.memory import is_out_of_memory
from methods.core.training.optimization import Optimization, TrainedModel, check_shape
from methods.core.training.trainer import LOGGING_STEPS, Schedule, isolated

if TYPE_CHECKING:
    from torch import Tensor


class MovingReference(Protocol):
    """A reference that changes during the training."""

    def logprobs(self, batch: Batch) -> Tensor:
        """Return its log-probabilities of the response tokens, [B, T] (nats; 0 on padding)."""

    def after_step(self, step: int) -> None:
        """Called after each step, with the number of steps so far."""


# What the losses of a batch share, given the step, and the log-ratios and labels of the whole batch
# in this process, [B] each, without gradient.
Shift = Callable[[int, "Tensor", "Tensor"], "Tensor"]
# Yields what is added to the mean loss of a step, in parts whose gradients are added one by one. It
# gets the policy, the batch's prompts, the step, and the most tokens of a part.
Regularizer = Callable[[ModelPolicy, Sequence[str], int, int], "Iterator[Tensor]"]


def fit_pairs(
    context: Context,
    loss: Callable[[PairLogprobs], Tensor],
    schedule: Schedule,
    *,
    collision: bool = False,
    reference: Callable[[ModelPolicy], MovingReference] | None = None,
    regularizer: Regularizer | None = None,
) -> ModelPolicy:
    """Train a fresh copy of the SFT policy on pairs.

    Args:
        context: The context, with pairs as its feedback.
        loss: Returns the loss of each pair, [B].
        schedule: How long and how fast to train.
        collision: Whether the loss reads `TokenLogprobs.collision`.
        reference: Returns a reference that moves, given the policy. By default it is the SFT
            policy.
        regularizer: See the type.

    Returns:
        The trained policy.

    Raises:
        Diverged: A loss or a weight is not finite.
        ValueError: The loss does not return one value for each pair.
    """

    def losses(tokens: TokenLogprobs, *_: Any) -> tuple[Tensor, dict[str, Tensor]]:
        logprobs = PairLogprobs.of(tokens)
        return loss(logprobs), logprobs.metrics()

    examples = [Example(p.prompt, (p.chosen, p.rejected)) for p in context.feedback]
    options = {"collision": collision, "reference": reference, "regularizer": regularizer}
    return _fit(context, examples, losses, schedule, **options)


def fit_unpaired(
    context: Context,
    loss: Callable[[UnpairedLogprobs], Tensor],
    schedule: Schedule,
    *,
    unrelated: bool = False,
    shift: Shift | None = None,
) -> ModelPolicy:
    """Train a fresh copy of the SFT policy on single responses that were liked or not.

    Args:
        context: The context, with unpaired labels as its feedback.
        loss: Returns the loss of each response, [B].
        schedule: How long and how fast to train.
        unrelated: Whether the loss reads `UnpairedLogprobs.unrelated_ratio`.
        shift: Returns what the loss reads as `UnpairedLogprobs.shift`. A step may be repeated.

    Returns:
        The trained policy.

    Raises:
        Diverged: A loss or a weight is not finite.
        ValueError: The loss does not return one value for each response.
    """

    def losses(
        tokens: TokenLogprobs, liked: Tensor, unrelated_ratio: Any, shift: Any
    ) -> tuple[Tensor, dict[str, Tensor]]:
        sums = tokens.policy.sum(1), tokens.reference.sum(1)
        logprobs = UnpairedLogprobs(*sums, liked, tokens, unrelated_ratio, shift)
        return loss(logprobs), logprobs.metrics()

    examples = [Example(u.prompt, (u.completion,), u.label) for u in context.feedback]
    return _fit(context, examples, losses, schedule, unrelated=unrelated, shift=shift)


def _fit(
    context: Context, examples: Sequence[Example], losses: Any, schedule: Schedule, **options: Any
) -> ModelPolicy:
    with isolated():
        policy = context.start()
        if schedule.steps(context.budget):
            _Run(context, policy, examples, losses, schedule, **options).train()
    return policy


class _Run:
    """One training: the policy, the examples, the optimizer, and the metrics since the last log."""

    def __init__(
        self,
        context: Context,
        policy: ModelPolicy,
        examples: Sequence[Example],
        losses: Callable[..., tuple[Tensor, dict[str, Tensor]]],
        schedule: Schedule,
        *,
        collision: bool = False,
        unrelated: bool = False,
        shift: Shift | None = None,
        reference: Callable[[ModelPolicy], MovingReference] | None = None,
        regularizer: Regularizer | None = None,
    ) -> None:
        self.context, self.policy, self.losses = context, policy, losses
        self.batch_size = schedule.batch_size
        self.collision, self.unrelated, self.shift = collision, unrelated, shift
        self.regularizer = regularizer
        self.data = Examples(context, policy, examples)
        self.lengths = self.data.lengths()
        self.steps = training_rows(context, schedule, self.lengths)
        trained = {"policy": TrainedModel(policy.model, schedule.learning_rate)}
        self.optimization = Optimization(context, trained, len(self.steps), warmup=schedule.warmup)
        self.reference = reference(policy) if reference else None
        if self.reference is None:
            with self.optimization.autocast():
                used = [row for rows in self.steps for row in local_rows(rows)]
                self.data.compute_reference(policy, used)
        self.metrics: list[dict[str, Tensor]] = []

    def train(self) -> None:
        """Take all steps."""
        self.optimization.train_mode(True)
        for step, rows in enumerate(self.steps, 1):
            self.metrics.append(self.step(rows, step))
            if self.reference:
                self.reference.after_step(step)
            if step % LOGGING_STEPS == 0 or step == len(self.steps):
                self.log(step)
            total = len(self.steps) * self.batch_size
            self.context.checkpoint(step * self.batch_size, total, self.policy)
        self.optimization.train_mode(False)

    def step(self, batch_rows: Sequence[int], step: int) -> dict[str, Tensor]:
        """Take one optimizer step on the examples of a batch, and return its metrics.

        A step that runs out of memory is repeated in smaller micro-batches.
        """
        longest = self.data.width * max(self.lengths[row] for row in batch_rows)
        while True:
            size = max(1, self.optimization.micro_batch_tokens // longest)
            try:
                metrics = self.add_gradients(batch_rows, step, size)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            else:
                self.optimization.step()
                return metrics
            # Out of the handler, in which the error still holds what filled the memory.
            self.optimization.use_smaller_micro_batches(longest)

    def add_gradients(self, batch_rows: Sequence[int], step: int, size: int) -> dict[str, Tensor]:
        """Add the gradients of a batch in micro-batches of `size` examples; return its metrics."""
        import torch

        rows = local_rows(batch_rows)
        unrelated_ratio = self.unrelated_ratio(batch_rows) if self.unrelated else None
        parts = []
        micro = micro_batches(rows, self.lengths, size)
        shift: Any = self.whole_batch_shift(micro, step) if self.shift and len(micro) > 1 else None
        for part in micro:
            tokens, liked = self.tokens(part), self.data.liked(part)
            if self.shift and shift is None:
                shift = self.shift(step, tokens.log_ratios(), liked)
            losses, metrics = self.losses(tokens, liked, unrelated_ratio, shift)
            check_shape("loss", losses, torch.Size([len(part)]), "row")
            self.optimization.backward(losses.sum() / len(rows))
            metrics, share = {"loss": losses.mean(), **metrics}, len(part) / len(rows)
            parts.append({name: share * value.detach() for name, value in metrics.items()})
        if self.regularizer:
            prompts = [self.data.prompts[row] for row in rows]
            most_tokens = self.optimization.micro_batch_tokens
            additions = self.regularizer(self.policy, prompts, step, most_tokens)
            while True:
                # Backward passes stay outside, as torch recommends.
                with self.optimization.autocast():
                    added = next(additions, None)
                if added is None:
                    break
                self.optimization.backward(added)
        return {name: torch.stack([part[name] for part in parts]).sum() for name in parts[0]}

    def tokens(self, rows: Sequence[int]) -> TokenLogprobs:
        """Return the log-probabilities of some examples under policy and reference."""
        batch = self.data.batch(rows)
        statistics = tokens_and_collisions if self.collision else of_tokens
        with self.optimization.autocast():
            columns = over_vocabulary(statistics, batch, PLAIN, self.policy.model)
        if self.reference:
            # Not in the context above: there, weights that were changed would not be cast again.
            with self.optimization.autocast():
                reference = self.reference.logprobs(batch)
        else:
            reference = self.data.reference_logprobs(rows)
        logprobs, *collisions = columns
        collision = [column.detach() for column in collisions]
        return TokenLogprobs(logprobs, reference, batch.response_mask, *collision)

    def whole_batch_shift(self, micro: Sequence[Sequence[int]], step: int) -> Tensor:
        """Return the shift of a batch of several micro-batches, by a pass of its own."""
        import torch

        assert self.shift is not None
        with torch.no_grad():
            ratios = torch.cat([self.tokens(part).log_ratios() for part in micro])
        return self.shift(step, ratios, self.data.liked([row for part in micro for row in part]))

    def unrelated_ratio(self, rows: Sequence[int]) -> Tensor:
        """Return the mean log-ratio of prompts with the responses to others, a scalar.

        As in TRL, each prompt of a batch gets the response of the row before it, and the first
        prompt that of the last row.
        """
        import torch

        before = [rows[-1], *rows[:-1]]
        batch = self.data.unrelated(local_rows(rows), local_rows(before))
        size = max(1, self.optimization.micro_batch_tokens // max(batch.lengths))
        ratios = []
        with torch.no_grad(), self.optimization.autocast():
            for numbers in micro_batches(range(len(batch.lengths)), batch.lengths, size):
                part = batch.rows(numbers).trimmed()
                policy = token_logprobs(self.policy.model, part, PLAIN)
                reference = token_logprobs(self.context.reference.model, part, PLAIN)
                ratios.append((policy - reference).sum(1))
        return distributed.mean_of(torch.cat(ratios).mean())

    def log(self, step: int) -> None:
        """Log the means over the steps since the last log, and over the processes."""
        means = {
            n: sum(float(m[n]) for m in self.metrics) / len(self.metrics) for n in self.metrics[0]
        }
        self.metrics = []
        norms = self.optimization.gradient_norms()
        everywhere = distributed.all_gather(means)
        for name in means:
            means[name] = sum(process[name] for process in everywhere) / len(everywhere)
        self.context.log(step * self.batch_size, **means, **norms)

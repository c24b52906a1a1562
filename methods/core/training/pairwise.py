"""A small trainer for losses on the log-probabilities of whole responses.

Log-probabilities are taken at temperature 1 over all tokens, whatever the sampling parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams, make_batch, token_logprobs
from methods.core.models.text import encode_prompts, encode_responses
from methods.core.training.context import Context
from methods.core.training.length_batching import rows_in_order
from methods.core.training.policy_trainer import fit_by_trainer
from methods.core.training.trainer import Schedule

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Trainer

PLAIN = SamplingParams()
# The metrics of the training curves: those of pairs, and those of single responses.
CURVES = ("loss", "logratio_margin", "chosen_logp", "rejected_logp", "logp", "logratio")


class PairLogprobs(NamedTuple):
    """Log-probabilities of the responses of B pairs (nats).

    Attributes:
        chosen: Under the policy, [B].
        rejected: Under the policy, [B].
        reference_chosen: Under the reference, [B].
        reference_rejected: Under the reference, [B].
    """

    chosen: Tensor
    rejected: Tensor
    reference_chosen: Tensor
    reference_rejected: Tensor

    @property
    def margin(self) -> Tensor:
        """The log-ratio of the chosen response minus that of the rejected response, [B]."""
        chosen = self.chosen - self.reference_chosen
        return chosen - (self.rejected - self.reference_rejected)


class UnpairedLogprobs(NamedTuple):
    """Log-probabilities of B single responses (nats).

    Attributes:
        response: Under the policy, [B].
        reference: Under the reference, [B].
        liked: Whether the annotator liked each response, [B].
    """

    response: Tensor
    reference: Tensor
    liked: Tensor

    @property
    def ratio(self) -> Tensor:
        """The log-ratio of policy to reference, [B]."""
        return self.response - self.reference


class Example(NamedTuple):
    """One example of a loss: a pair, or a single response.

    Attributes:
        prompt: The prompt.
        responses: The chosen and the rejected response, or the single one.
        liked: Whether the annotator liked the single response.
    """

    prompt: str
    responses: tuple[str, ...]
    liked: bool = True


def fit_pairs(
    context: Context,
    loss: Callable[[PairLogprobs], Tensor],
    schedule: Schedule = Schedule(),  # noqa: B008 (frozen)
) -> ModelPolicy:
    """Train a fresh copy of the SFT policy on pairs.

    With the loss of DPO, it does what TRL's DPOTrainer does.

    Args:
        context: The context, with pairs as its feedback.
        loss: Returns the loss of each pair, [B].
        schedule: How long and how fast to train.

    Returns:
        The trained policy.

    Raises:
        Diverged: A loss or a weight is not finite.
    """
    examples = [Example(p.prompt, (p.chosen, p.rejected)) for p in context.feedback]

    def pair_loss(logprobs: Tensor, reference: Tensor, _: Tensor) -> tuple[Tensor, _Metrics]:
        pairs = PairLogprobs(*logprobs, *reference)
        metrics = {
            "logratio_margin": pairs.margin.mean(),
            "chosen_logp": pairs.chosen.mean(),
            "rejected_logp": pairs.rejected.mean(),
        }
        return loss(pairs), metrics

    return _fit(context, examples, pair_loss, schedule)


def fit_unpaired(
    context: Context,
    loss: Callable[[UnpairedLogprobs], Tensor],
    schedule: Schedule = Schedule(),  # noqa: B008 (frozen)
) -> ModelPolicy:
    """Train a fresh copy of the SFT policy on single responses that were liked or not.

    Args:
        context: The context, with unpaired labels as its feedback.
        loss: Returns the loss of each response, [B].
        schedule: How long and how fast to train.

    Returns:
        The trained policy.

    Raises:
        Diverged: A loss or a weight is not finite.
    """
    examples = [Example(u.prompt, (u.completion,), u.label) for u in context.feedback]

    def unpaired_loss(
        logprobs: Tensor, reference: Tensor, liked: Tensor
    ) -> tuple[Tensor, _Metrics]:
        unpaired = UnpairedLogprobs(logprobs[0], reference[0], liked)
        metrics = {"logp": unpaired.response.mean(), "logratio": unpaired.ratio.mean()}
        return loss(unpaired), metrics

    return _fit(context, examples, unpaired_loss, schedule)


_Metrics = dict[str, "Tensor"]
# From log-probabilities [responses, B] under policy and reference, and `liked` [B], to losses [B].
_Loss = Callable[["Tensor", "Tensor", "Tensor"], tuple["Tensor", _Metrics]]


def _fit(
    context: Context, examples: Sequence[Example], loss: _Loss, schedule: Schedule
) -> ModelPolicy:
    def build(policy: ModelPolicy, arguments: dict[str, Any], callbacks: list[Any]) -> Trainer:
        from transformers import TrainingArguments

        rows = _rows(context, examples)
        lengths = [len(row["prompt"]) + max(map(len, row["responses"])) for row in rows]
        rows, order = rows_in_order(context, schedule, rows, lengths)
        return _trainer_class()(
            policy.model,
            TrainingArguments(**arguments, **order),
            train_dataset=rows,
            data_collator=lambda batch: _collate(batch, policy.tokenizer.pad_token_id),
            callbacks=callbacks,
            loss=loss,
        )

    return fit_by_trainer(context, schedule, build, {name: name for name in CURVES})


def _rows(context: Context, examples: Sequence[Example]) -> list[dict[str, Any]]:
    """Return the examples as tokens, with the reference's log-probabilities."""
    tokenizer = context.reference.tokenizer
    responses = [response for e in examples for response in e.responses]
    response_prompts = [e.prompt for e in examples for _ in e.responses]
    prompts = encode_prompts(tokenizer, [e.prompt for e in examples])
    tokens = iter(encode_responses(tokenizer, responses))
    reference = iter(context.reference.logprobs(response_prompts, responses, PLAIN))
    return [
        {
            "prompt": prompt,
            "responses": [next(tokens) for _ in example.responses],
            "reference": [next(reference) for _ in example.responses],
            "liked": example.liked,
        }
        for prompt, example in zip(prompts, examples, strict=True)
    ]


def _collate(rows: list[dict[str, Any]], pad: int) -> dict[str, Any]:
    """Lay the rows out as one batch: all first responses, then all second ones."""
    import torch

    places = range(len(rows[0]["responses"]))
    batch = make_batch(
        [row["prompt"] for _ in places for row in rows],
        [row["responses"][i] for i in places for row in rows],
        pad,
        "cpu",
    )
    return {
        "ids": batch.ids,
        "mask": batch.mask,
        "width": batch.width,
        # [responses, B]
        "reference": torch.tensor([[row["reference"][i] for row in rows] for i in places]),
        "liked": torch.tensor([row["liked"] for row in rows]),
    }


def _trainer_class() -> type[Trainer]:
    """Return the Trainer of transformers with a loss on log-probabilities."""
    from transformers import Trainer

    from methods.core.models.sampling import Batch

    class LogprobTrainer(Trainer):
        def __init__(self, *args: Any, loss: _Loss, **options: Any) -> None:
            super().__init__(*args, **options)
            self._loss = loss
            self._metrics: list[_Metrics] = []

        def compute_loss(self, model: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> Tensor:
            batch = Batch(inputs["ids"], inputs["mask"], inputs["width"])
            logprobs = token_logprobs(model, batch, PLAIN).sum(1).view_as(inputs["reference"])
            losses, metrics = self._loss(logprobs, inputs["reference"], inputs["liked"])
            # Read only when they are logged: each read makes a GPU wait.
            self._metrics.append({name: value.detach() for name, value in metrics.items()})
            return losses.mean()

        def log(self, logs: dict[str, float], *args: Any, **options: Any) -> None:
            """Add the means of the loss's metrics since the last time."""
            steps, self._metrics = self._metrics, []
            for name in steps[0] if steps else ():
                logs[name] = sum(float(step[name]) for step in steps) / len(steps)
            super().log(logs, *args, **options)

    return LogprobTrainer

"""A small trainer for losses on the log-probabilities of whole responses.

Log-probabilities are those of the model as it is, at temperature 1, whatever the sampling sampling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from methods.core.training.context import Context
from methods.core.training.length_batching import rows_in_order
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams, make_batch, token_logprobs
from methods.core.models.text import encode_prompts, encode_responses
from methods.core.training.policy_trainer import fit_by_trainer
from methods.core.training.trainer import Schedule

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Trainer

PLAIN = SamplingParams()
CURVES = ("loss", "logratio_margin", "chosen_logp", "rejected_logp", "logp", "logratio")


class PairLogprobs(NamedTuple):
    """Log-probabilities of whole responses, [B], nats, under the policy and the reference."""

    chosen: Tensor
    rejected: Tensor
    reference_chosen: Tensor
    reference_rejected: Tensor

    @property
    def margin(self) -> Tensor:
        """By how much the log-ratio of the chosen response is above that of the rejected one."""
        chosen = self.chosen - self.reference_chosen
        return chosen - (self.rejected - self.reference_rejected)


class UnpairedLogprobs(NamedTuple):
    """Log-probabilities of whole responses, [B], nats; label: whether they were liked, [B]."""

    response: Tensor
    reference: Tensor
    label: Tensor

    @property
    def ratio(self) -> Tensor:
        """The log-ratio of policy to reference."""
        return self.response - self.reference


class Example(NamedTuple):
    """Responses to one prompt that enter the loss together, and what was said of them."""

    prompt: str
    responses: tuple[str, ...]
    label: bool = True


def fit_pairs(
    context: Context,
    loss: Callable[[PairLogprobs], Tensor],
    schedule: Schedule = Schedule(),  # noqa: B008 (frozen)
) -> ModelPolicy:
    """Train a fresh copy of the SFT policy on the pairs; loss: of each pair, [B].

    With DPO's loss it does what TRL's DPOTrainer does. Raises Diverged.
    """
    examples = [Example(p.prompt, (p.chosen, p.rejected)) for p in context.feedback]

    def pair_loss(logprobs: Tensor, reference: Tensor, label: Tensor) -> tuple[Tensor, _Point]:
        pairs = PairLogprobs(*logprobs, *reference)
        point = {
            "logratio_margin": pairs.margin.mean(),
            "chosen_logp": pairs.chosen.mean(),
            "rejected_logp": pairs.rejected.mean(),
        }
        return loss(pairs), point

    return _fit(context, examples, pair_loss, schedule)


def fit_unpaired(
    context: Context,
    loss: Callable[[UnpairedLogprobs], Tensor],
    schedule: Schedule = Schedule(),  # noqa: B008 (frozen)
) -> ModelPolicy:
    """Train a fresh copy of the SFT policy on the unpaired; loss: of each response, [B].

    Raises Diverged.
    """
    examples = [Example(u.prompt, (u.completion,), u.label) for u in context.feedback]

    def unpaired_loss(logprobs: Tensor, reference: Tensor, label: Tensor) -> tuple[Tensor, _Point]:
        unpaired = UnpairedLogprobs(logprobs[0], reference[0], label)
        return loss(unpaired), {"logp": unpaired.response.mean(), "logratio": unpaired.ratio.mean()}

    return _fit(context, examples, unpaired_loss, schedule)


_Point = dict[str, "Tensor"]
_Loss = Callable[["Tensor", "Tensor", "Tensor"], tuple["Tensor", _Point]]


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
    asked = [e.prompt for e in examples for _ in e.responses]
    flat = [response for e in examples for response in e.responses]
    prompts = encode_prompts(tokenizer, [e.prompt for e in examples])
    tokens = iter(encode_responses(tokenizer, flat))
    reference = iter(context.reference.logprobs(asked, flat, PLAIN))
    return [
        {
            "prompt": prompt,
            "responses": [next(tokens) for _ in example.responses],
            "reference": [next(reference) for _ in example.responses],
            "label": example.label,
        }
        for prompt, example in zip(prompts, examples, strict=True)
    ]


def _collate(rows: list[dict[str, Any]], pad: int) -> dict[str, Any]:
    """Lay out first responses above second ones; reference: [responses, B]."""
    import torch

    ways = range(len(rows[0]["responses"]))
    batch = make_batch(
        [row["prompt"] for _ in ways for row in rows],
        [row["responses"][i] for i in ways for row in rows],
        pad,
        "cpu",
    )
    return {
        "ids": batch.ids,
        "mask": batch.mask,
        "width": batch.width,
        "reference": torch.tensor([[row["reference"][i] for row in rows] for i in ways]),
        "label": torch.tensor([row["label"] for row in rows]),
    }


def _trainer_class() -> type[Trainer]:
    """Return transformers' Trainer with a loss on log-probabilities."""
    from transformers import Trainer

    from methods.core.models.sampling import Batch

    class LogprobTrainer(Trainer):
        def __init__(self, *args: Any, loss: _Loss, **rest: Any) -> None:
            super().__init__(*args, **rest)
            self._loss = loss
            self._points: list[_Point] = []

        def compute_loss(self, model: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> Tensor:
            batch = Batch(inputs["ids"], inputs["mask"], inputs["width"])
            logprobs = token_logprobs(model, batch, PLAIN).sum(1).view_as(inputs["reference"])
            losses, point = self._loss(logprobs, inputs["reference"], inputs["label"])
            # Looked at only when logged, for each look makes a GPU wait.
            self._points.append({name: value.detach() for name, value in point.items()})
            return losses.mean()

        def log(self, logs: dict[str, float], *args: Any, **rest: Any) -> None:
            """Add the means of what the loss looked at since the last time."""
            points, self._points = self._points, []
            for name in points[0] if points else ():
                logs[name] = sum(float(point[name]) for point in points) / len(points)
            super().log(logs, *args, **rest)

    return LogprobTrainer

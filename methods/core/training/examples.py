"""Labeled responses as tokens, with the reference's log-probabilities, batch after batch."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from methods.core.models import distributed
from methods.core.models.batch import Batch, make_batch, to_device
from methods.core.models.logprobs import token_logprobs
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams
from methods.core.models.text import encode_prompts, encode_responses
from methods.core.training.context import Context
from methods.core.training.length_batching import in_order
from methods.core.training.trainer import Schedule

if TYPE_CHECKING:
    from torch import Tensor

# Labels are learned from at temperature 1 over all tokens, whatever the sampling parameters.
PLAIN = SamplingParams()
# The most tokens of a forward pass of the reference, padding included. A CPU is fastest with few.
REFERENCE_TOKENS = 8_192


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


class Examples:
    """The examples that a training will use, as tokens.

    Attributes:
        prompts: Their prompts.
        width: Responses of each example.
    """

    def __init__(self, context: Context, policy: ModelPolicy, examples: Sequence[Example]) -> None:
        self.width = len(examples[0].responses)
        self._pad, self._device = policy.tokenizer.pad_token_id, context.device
        self.prompts = [e.prompt for e in examples]
        self._prompts = encode_prompts(policy.tokenizer, self.prompts)
        responses = [response for e in examples for response in e.responses]
        tokens = encode_responses(policy.tokenizer, responses)
        self._responses = [
            tokens[start : start + self.width] for start in range(0, len(tokens), self.width)
        ]
        self._liked = [e.liked for e in examples]
        self._reference: dict[tuple[int, int], Tensor] = {}

    def lengths(self) -> list[int]:
        """Return the tokens of each example: of its prompt and its longer response."""
        return [
            len(prompt) + max(map(len, responses))
            for prompt, responses in zip(self._prompts, self._responses, strict=True)
        ]

    def batch(self, rows: Sequence[int]) -> Batch:
        """Lay examples out as one batch: all first responses, then all second ones."""
        places = range(self.width)
        prompts = [self._prompts[row] for _ in places for row in rows]
        responses = [self._responses[row][place] for place in places for row in rows]
        return make_batch(prompts, responses, self._pad, self._device)

    def unrelated(self, rows: Sequence[int], others: Sequence[int]) -> Batch:
        """Lay out the prompts of examples with the first responses of as many others."""
        prompts = [self._prompts[row] for row in rows]
        responses = [self._responses[row][0] for row in others]
        return make_batch(prompts, responses, self._pad, self._device)

    def liked(self, rows: Sequence[int]) -> Tensor:
        """Return whether the single response of each example was liked, [B]."""
        import torch

        return to_device(torch.tensor([self._liked[row] for row in rows]), self._device)

    def reference_logprobs(self, rows: Sequence[int]) -> Tensor:
        """Return the reference's log-probabilities of the tokens of `batch(rows)`, [B, T]."""
        from torch.nn.utils.rnn import pad_sequence

        places = range(self.width)
        logprobs = [self._reference[row, place] for place in places for row in rows]
        return to_device(pad_sequence(logprobs, batch_first=True), self._device)

    def compute_reference(self, policy: ModelPolicy, rows: Sequence[int]) -> None:
        """Compute the reference's log-probabilities of some examples, each once.

        Args:
            policy: The policy before its training, which is the reference.
            rows: The examples, repeats included.
        """
        import torch

        lengths = self.lengths()
        left = sorted(set(rows), key=lengths.__getitem__, reverse=True)
        with torch.inference_mode():
            while left:
                size = max(1, REFERENCE_TOKENS // (self.width * lengths[left[0]]))
                part, left = left[:size], left[size:]
                batch = self.batch(part)
                logprobs = token_logprobs(policy.model, batch, PLAIN).cpu()
                keys = [(row, place) for place in range(self.width) for row in part]
                for key, row_logprobs, count in zip(
                    keys, logprobs, batch.response_lengths, strict=True
                ):
                    self._reference[key] = row_logprobs[:count].clone()


def training_rows(context: Context, schedule: Schedule, lengths: Sequence[int]) -> list[list[int]]:
    """Return the rows of each step: pass after pass, each in an order of its own.

    Args:
        context: The context of the training.
        schedule: How long to train, and the size of a batch.
        lengths: The length of each example, in tokens.

    Returns:
        For each step the rows of the whole batch, the same in all processes.
    """
    size, count = schedule.batch_size, schedule.steps(context.budget) * schedule.batch_size
    rows = range(len(lengths))
    if context.loading.group_by_length:
        order = in_order(rows, lengths, count, size, context.seed)
    else:
        random = Random(f"order {context.seed}")
        order = []
        while len(order) < count:
            order += random.sample(rows, len(rows))
    return [order[start : start + size] for start in range(0, count, size)]


def local_rows(rows: Sequence[int]) -> Sequence[int]:
    """Return the rows of a batch that this process has."""
    first = distributed.batch_slice(len(rows)).first
    return rows[first : first + distributed.local_batch_size(len(rows))]


def micro_batches(rows: Sequence[int], lengths: Sequence[int], size: int) -> list[list[int]]:
    """Split the rows of a batch into parts that memory has room for.

    Args:
        rows: The rows of the batch.
        lengths: The length of each example, in tokens.
        size: The most rows of a part.

    Returns:
        The rows of each part, of similar length. A batch that fits stays whole and in order.
    """
    if len(rows) <= size:
        return [list(rows)]
    order = sorted(rows, key=lengths.__getitem__)
    return [order[start : start + size] for start in range(0, len(order), size)]

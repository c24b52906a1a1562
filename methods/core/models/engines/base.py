"""What an engine is: it samples a response to each prompt of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from methods.core.models.sampling import BatchSlice, SamplingParams

# Rows given at once to an engine that schedules them itself.
QUEUED_ROWS = 16_384


class Request(NamedTuple):
    """What an engine is asked for: a response to each prompt.

    Attributes:
        prompts: Token ids of each prompt.
        mask: 1 on the prompts' tokens, 0 on padding, [B, P].
        firsts: The rows of the distinct prompts, each where it comes first.
        equals: For each row, the number of its prompt among the distinct ones.
        sampling: How to sample.
        ends: The tokens that end a response.
        batch_slice: Which rows of a larger batch the prompts are.
        vocabulary: Returns how many token ids text can hold. A model may have more embedding rows.
        seed: For an engine with random numbers of its own. No two processes share it.
        draw: Samples a token for each row from logits [B, V] and uniform numbers [B], and returns
            the tokens [B] and their log-probabilities [B] (nats).
    """

    prompts: Sequence[Sequence[int]]
    mask: Tensor
    firsts: Sequence[int]
    equals: Sequence[int]
    sampling: SamplingParams
    ends: tuple[int, ...]
    batch_slice: BatchSlice
    vocabulary: Callable[[], int]
    seed: int
    draw: Callable[[Tensor, Tensor, SamplingParams], tuple[Tensor, Tensor]]

    def uniforms(self) -> Tensor:
        """Draw the uniform numbers that our loop draws, for these rows, [max_new_tokens, B]."""
        import torch

        first, total = self.batch_slice
        rows, device = slice(first, first + len(self.prompts)), self.mask.device
        steps = range(self.sampling.max_new_tokens)
        draws = [torch.rand(total, dtype=torch.float64, device=device)[rows] for _ in steps]
        return torch.stack(draws)


class Engine(ABC):
    """Samples responses from a model with its present weights.

    Attributes:
        exact: Whether its log-probabilities are those that the model is scored by, but for
            rounding. Otherwise it has weights of its own or another precision.
        schedules: Whether it decides itself how many rows it computes at once.
    """

    exact: ClassVar[bool]
    schedules: ClassVar[bool]

    @abstractmethod
    def respond(
        self, model: PreTrainedModel, input_ids: Tensor, request: Request
    ) -> tuple[Tensor, Tensor]:
        """Sample a response to each prompt.

        Args:
            model: A causal language model, with its adapters on it if there are any.
            input_ids: The prompts, padded left, [B, P].
            request: The prompts again, and how to sample.

        Returns:
            The responses, [B, T], with anything after the end tokens, and the log-probabilities
            of their tokens under the sampling parameters, [B, T] (nats).
        """


class Delegate:
    """Lets an engine sample where `generate` of transformers expects a loop.

    Attributes:
        logprobs: The log-probabilities of the sampled tokens, [B, T] (nats).
    """

    def __init__(self, engine: Engine, request: Request) -> None:
        self._engine, self._request = engine, request
        self.logprobs: Tensor

    def __call__(self, model: PreTrainedModel, input_ids: Tensor, **_: Any) -> Tensor:
        """Return prompts and responses, [B, P + T]. `generate` calls it."""
        import torch

        responses, self.logprobs = self._engine.respond(model, input_ids, self._request)
        responses, self.logprobs = _tidy(responses, self.logprobs, self._request.ends)
        return torch.cat([input_ids, responses], dim=1)


def _tidy(responses: Tensor, logprobs: Tensor, ends: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Put the end token after each response, and drop the columns that have nothing else."""
    import torch

    ended = torch.isin(responses, torch.tensor(ends, device=responses.device))
    after_end = (ended.cumsum(1) - ended.long()) > 0
    longest = int((~after_end).any(0).sum())
    return responses.masked_fill(after_end, ends[0])[:, :longest], logprobs[:, :longest]


def laid_out(
    responses: Sequence[Sequence[int]],
    logprobs: Sequence[Sequence[float]],
    end: int,
    device: Any,
) -> tuple[Tensor, Tensor]:
    """Return responses of different lengths as tensors, [B, T].

    Args:
        responses: The token ids of each.
        logprobs: The log-probability of each token (nats).
        end: The token that fills up the rows.
        device: Where to put the tensors.
    """
    import torch

    longest = max(len(response) for response in responses)
    ids = [[*row, *[end] * (longest - len(row))] for row in responses]
    values = [[*row, *[0.0] * (longest - len(row))] for row in logprobs]
    return torch.tensor(ids, device=device), torch.tensor(values, device=device)

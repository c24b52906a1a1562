"""Prompts and responses laid out as tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# The most tokens of a training pass by default, padding included.
MOST_TOKENS = 16_384
# How much padding another forward pass must save (tokens): each has a cost of its own.
WORTH_A_PART = 256


@dataclass
class Batch:
    """Prompts padded left and responses padded right, so that all responses start in one column.

    Attributes:
        ids: Token ids, [B, P + T].
        mask: 1 on tokens, 0 on padding, [B, P + T]. It follows lengths and not token ids: a sampled
            pad token is a token like any other.
        width: P, the columns of the prompts.
        prompt_lengths: The tokens of each prompt, [B]. Lengths are kept outside the device: reading
            them from a GPU would make it wait.
        response_lengths: The tokens of each response, [B].
    """

    ids: torch.Tensor
    mask: torch.Tensor
    width: int
    prompt_lengths: Sequence[int]
    response_lengths: Sequence[int]

    @classmethod
    def of(cls, ids: torch.Tensor, mask: torch.Tensor, width: int) -> Batch:
        """Return a batch whose lengths are read from its mask."""
        prompt_lengths: list[int] = mask[:, :width].sum(1).tolist()
        response_lengths: list[int] = mask[:, width:].sum(1).tolist()
        return cls(ids, mask, width, prompt_lengths, response_lengths)

    @classmethod
    def concatenate(cls, parts: Sequence[Batch]) -> Batch:
        """Return batches as one. Prompts and responses are padded to the longest."""
        if len(parts) == 1:
            return parts[0]
        import torch

        width = max(part.width for part in parts)
        length = max(part.responses.shape[1] for part in parts)
        return cls(
            torch.cat([padded(part.ids, part.width, width, length) for part in parts]),
            torch.cat([padded(part.mask, part.width, width, length) for part in parts]),
            width,
            [tokens for part in parts for tokens in part.prompt_lengths],
            [tokens for part in parts for tokens in part.response_lengths],
        )

    @property
    def responses(self) -> torch.Tensor:
        """Token ids of the responses, [B, T]."""
        return self.ids[:, self.width :]

    @property
    def response_mask(self) -> torch.Tensor:
        """Where the response tokens are, [B, T]."""
        return self.mask[:, self.width :].bool()

    @property
    def positions(self) -> torch.Tensor:
        """The position of each token in its row, from 0, [B, P + T]."""
        return (self.mask.cumsum(1) - 1).clamp(min=0)

    def response_ids(self) -> list[list[int]]:
        """Return the response tokens of each row, without padding."""
        rows: list[list[int]] = self.responses.tolist()
        return [row[:length] for row, length in zip(rows, self.response_lengths, strict=True)]

    @property
    def lengths(self) -> list[int]:
        """The tokens of each row, [B]."""
        return [
            prompt + response
            for prompt, response in zip(self.prompt_lengths, self.response_lengths, strict=True)
        ]

    @property
    def response_places(self) -> torch.Tensor:
        """Where the N response tokens are among all ids in order, [N]."""
        import torch

        columns = self.ids.shape[1]
        places = [
            row * columns + self.width + place
            for row, length in enumerate(self.response_lengths)
            for place in range(length)
        ]
        return to_device(torch.tensor(places, dtype=torch.long), self.ids.device)

    def rows(self, rows: Sequence[int]) -> Batch:
        """Return some of the rows as a batch."""
        import torch

        places = to_device(torch.tensor(rows), self.ids.device)
        return Batch(
            self.ids[places],
            self.mask[places],
            self.width,
            [self.prompt_lengths[row] for row in rows],
            [self.response_lengths[row] for row in rows],
        )

    def trimmed(self) -> Batch:
        """Return the batch without the columns that are padding in every row."""
        first = min(self.width - max(self.prompt_lengths), self.width - 1)
        last = self.width + max(1, *self.response_lengths)
        lengths = self.prompt_lengths, self.response_lengths
        return Batch(
            self.ids[:, first:last], self.mask[:, first:last], self.width - first, *lengths
        )


def padded(rows: torch.Tensor, start: int, width: int, length: int) -> torch.Tensor:
    """Return rows [B, start + t] as [B, width + length], with zeros on both sides."""
    import torch.nn.functional as F

    return F.pad(rows, (width - start, length - (rows.shape[1] - start)))


def make_batch(
    prompts: Sequence[Sequence[int]],
    responses: Sequence[Sequence[int]],
    pad: int,
    device: torch.device | str,
) -> Batch:
    """Lay token ids out as a batch.

    Args:
        prompts: Token ids of each prompt.
        responses: Token ids of each response.
        pad: The id that fills up the rows.
        device: Where to put the batch.
    """
    import torch

    width = max(len(p) for p in prompts)
    longest = max(len(r) for r in responses)
    rows, masks = [], []
    for prompt, response in zip(prompts, responses, strict=True):
        left, right = width - len(prompt), longest - len(response)
        rows.append([pad] * left + [*prompt, *response] + [pad] * right)
        masks.append([0] * left + [1] * (len(prompt) + len(response)) + [0] * right)
    lengths = list(map(len, prompts)), list(map(len, responses))
    ids, mask = (to_device(torch.tensor(values), device) for values in (rows, masks))
    return Batch(ids, mask, width, *lengths)


def to_device(tensor: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """Return a tensor of the CPU on a device, without waiting for what a GPU is computing.

    `torch.tensor(..., device=...)` would wait.

    Args:
        tensor: The tensor. It must not change afterwards.
        device: Where to put it.
    """
    import torch

    if torch.device(device).type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def by_length(lengths: Sequence[int], most: int = MOST_TOKENS) -> list[list[int]]:
    """Split rows into parts of similar length, where that saves enough padding, or memory.

    Args:
        lengths: The length of each row, in tokens.
        most: The most tokens of a part, padding included. One row is a part in any case.

    Returns:
        The rows of each part.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)

    def split(start: int, end: int) -> list[list[int]]:
        longest, count = lengths[order[end - 1]], end - start
        # What a cut before each row saves: the rows in front of it need not be as long as the last.
        saved = [(i - start) * (longest - lengths[order[i - 1]]) for i in range(start + 1, end)]
        if count == 1 or (count * longest <= most and max(saved) < WORTH_A_PART):
            return [order[start:end]]
        cut = start + 1 + saved.index(max(saved)) if max(saved) > 0 else start + count // 2
        return split(start, cut) + split(cut, end)

    return split(0, len(order))


def batch_places(
    lengths: Sequence[int], most: int, fit: Callable[[int], int]
) -> Iterator[list[int]]:
    """Yield the places of the rows of each batch: rows of similar length, and not too many.

    Rows whose lengths have the same number of binary digits stay in order.

    Args:
        lengths: Of the rows (tokens).
        most: The most rows of a batch.
        fit: Returns how many rows fit into memory, from the length of the longest.
    """
    order = sorted(range(len(lengths)), key=lambda i: lengths[i].bit_length())
    while order:
        longest = max(lengths[i] for i in order[:most])
        size = max(1, min(most, fit(longest)))
        yield order[:size]
        order = order[size:]

"""Several processes that train one model is_distributed, as `accelerate launch` starts them.

Each runs the same program on the same plan. They share a batch, average their gradients, and agree
on every decision that rests on what lies on disk. With one process nothing here does anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from methods.core.models.sampling import BatchSlice

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


# As torch and the usual kinds of MPI say it.
COUNTS = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")


def world_size() -> int:
    """Return how many processes there are."""
    return _first(COUNTS, 1)


def rank() -> int:
    """Return the number of this one, from 0."""
    return _first(RANKS, 0) if is_distributed() else 0


def _first(names: Sequence[str], default: int) -> int:
    given = [os.environ[name] for name in names if os.environ.get(name)]
    return int(given[0]) if given else default


def is_distributed() -> bool:
    return world_size() > 1


def is_main() -> bool:
    """Return whether this is the process that writes."""
    return rank() == 0


def initialize(device: str) -> None:
    """Meet the other processes, each on a GPU of its own where there are any."""
    if not is_distributed():
        return
    import torch
    from accelerate import PartialState

    if device != "cpu":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK") or 0))
    PartialState(cpu=device == "cpu")


def finalize() -> None:
    """End the meeting, so that no process waits for another that is gone."""
    if is_distributed():
        import torch

        torch.distributed.destroy_process_group()


def all_gather(value: T) -> list[T]:
    """Return what every process has here, in their order. All wait for each other."""
    if not is_distributed():
        return [value]
    from accelerate.utils import gather_object

    found: list[T] = gather_object([value])
    return found


def broadcast(value: T) -> T:
    """Return what the main process has here. All wait for each other."""
    return all_gather(value)[0]


def local_batch_size(size: int) -> int:
    """Return how much of a batch one process has. Raises ValueError where it cannot be shared."""
    if size % world_size():
        raise ValueError(f"a batch of {size} cannot be shared by {world_size()} processes")
    return size // world_size()


def batch_slice(size: int) -> BatchSlice:
    """Return which rows of a batch this process has."""
    return BatchSlice(rank() * local_batch_size(size), size)


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Make the gradients the mean over the processes."""
    if not is_distributed():
        return
    import torch

    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= world_size()
    parts: Sequence[torch.Tensor] = flat.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))

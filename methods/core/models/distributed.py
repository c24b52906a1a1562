"""Several processes that train one model, as `accelerate launch` starts them.

Every process runs the same program on the same plan. The processes share each batch, average their
gradients, and agree on every decision that depends on files. With a single process, the functions
here do nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from methods.core.models.sampling import BatchSlice

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

# The environment variables of torch and of the common MPI implementations.
WORLD_SIZE_VARIABLES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
RANK_VARIABLES = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")


def world_size() -> int:
    """Return the number of processes."""
    return _first_set(WORLD_SIZE_VARIABLES, 1)


def rank() -> int:
    """Return the number of this process, from 0."""
    return _first_set(RANK_VARIABLES, 0) if is_distributed() else 0


def _first_set(names: Sequence[str], default: int) -> int:
    values = [os.environ[name] for name in names if os.environ.get(name)]
    return int(values[0]) if values else default


def is_distributed() -> bool:
    """Return whether there is more than one process."""
    return world_size() > 1


def is_main() -> bool:
    """Return whether this is the process that writes files."""
    return rank() == 0


def initialize(device: str) -> None:
    """Join the process group. On GPUs, each process takes the one of its local rank.

    Args:
        device: "cpu", or any other for GPUs.
    """
    if not is_distributed():
        return
    import torch
    from accelerate import PartialState

    if device != "cpu":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK") or 0))
    PartialState(cpu=device == "cpu")


def finalize() -> None:
    """Leave the process group, so that no process waits for one that has exited."""
    if is_distributed():
        import torch

        torch.distributed.destroy_process_group()


def all_gather(value: T) -> list[T]:
    """Return the value of every process, in order of rank. All processes wait for each other."""
    if not is_distributed():
        return [value]
    from accelerate.utils import gather_object

    values: list[T] = gather_object([value])
    return values


def broadcast(value: T) -> T:
    """Return the value of the main process. All processes wait for each other."""
    return all_gather(value)[0]


def local_batch_size(size: int) -> int:
    """Return how many rows of a batch each process has.

    Args:
        size: Rows of the whole batch.

    Raises:
        ValueError: The number of processes does not divide the batch.
    """
    if size % world_size():
        raise ValueError(
            f"a batch of {size} cannot be shared by {world_size()} processes: set batch_size to a "
            "multiple of their number"
        )
    return size // world_size()


def batch_slice(size: int) -> BatchSlice:
    """Return which rows of a batch of this size this process has."""
    return BatchSlice(rank() * local_batch_size(size), size)


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Replace the gradients by their means over the processes."""
    if not is_distributed():
        return
    import torch

    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= world_size()
    means: Sequence[torch.Tensor] = flat.split([gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))


def sum_of(value: torch.Tensor) -> torch.Tensor:
    """Return the sum of a tensor over the processes. It has no gradient."""
    total = value.detach().clone()
    if is_distributed():
        import torch

        torch.distributed.all_reduce(total)
    return total


def mean_of(value: torch.Tensor) -> torch.Tensor:
    """Return the mean of a tensor over the processes. It has no gradient."""
    return sum_of(value) / world_size()

"""The order of training examples, where lengths differ so much that padding would be expensive."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from methods.core.training.context import Context
    from methods.core.training.trainer import Schedule

T = TypeVar("T")
# How many batches are sorted by length at once. More would make the passes too similar.
SORTED_BATCHES = 50
# Tells a trainer to take its rows in order.
IN_ORDER: dict[str, Any] = {"train_sampling_strategy": "sequential"}


def in_order(
    rows: Sequence[T], lengths: Sequence[int], count: int, batch_size: int, seed: int
) -> list[T]:
    """Return the rows to train on, pass after pass, with rows of similar length in one batch.

    Every pass draws anew which rows share a batch, and the order of the batches. The result does
    not depend on the number of processes.

    Args:
        rows: The training examples.
        lengths: The length of each, in tokens or characters.
        count: How many rows to return, cut to whole batches.
        batch_size: Rows of a batch.
        seed: The same seed gives the same order.

    Raises:
        ValueError: There are no rows.
    """
    if not rows:
        raise ValueError("there are no rows to train on")
    random = Random(f"order {seed}")
    order: list[int] = []
    while len(order) < count:
        # Only whole batches: a partial one would shift all that follow.
        whole = len(rows) // batch_size * batch_size or len(rows)
        shuffled = random.sample(range(len(rows)), whole)
        batches = []
        chunk_size = SORTED_BATCHES * batch_size
        for start in range(0, whole, chunk_size):
            chunk = sorted(shuffled[start : start + chunk_size], key=lengths.__getitem__)
            batches += [chunk[i : i + batch_size] for i in range(0, len(chunk), batch_size)]
        random.shuffle(batches)
        order += [row for batch in batches for row in batch]
    return [rows[i] for i in order[: count // batch_size * batch_size or count]]


def rows_in_order(
    context: Context, schedule: Schedule, rows: list[T], lengths: Sequence[int]
) -> tuple[list[T], dict[str, Any]]:
    """Order a trainer's rows by length, if `context.loading` asks for it.

    Args:
        context: The context of the training.
        schedule: How long to train.
        rows: The training examples.
        lengths: The length of each, in tokens.

    Returns:
        The rows, and arguments for the trainer's config.
    """
    if not context.loading.group_by_length:
        return rows, {}
    size = schedule.batch_size
    count = schedule.steps(context.budget) * size
    return in_order(rows, lengths, count, size, context.seed), IN_ORDER

"""In which order a trainer is given its rows, where their lengths differ much."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from methods.core.training.context import Context
    from methods.core.training.trainer import Schedule

T = TypeVar("T")
# So many batches are put in order of length together: more would make passes too much alike.
TOGETHER = 50
TOKENS_AT_ONCE = 65_536
# What a trainer is told that gets its rows in order.
IN_ORDER: dict[str, Any] = {"train_sampling_strategy": "sequential"}


def in_order(
    rows: Sequence[T], lengths: Sequence[int], count: int, batch_size: int, seed: int
) -> list[T]:
    """Return the rows to train on: so many, pass after pass, those of like length in one batch.

    That saves padding. Which rows come together is drawn anew for each pass, and so is the order of
    the batches. It does not depend on how many processes share a batch.
    """
    random = Random(f"order {seed}")
    order: list[int] = []
    while len(order) < count:
        # Whole batches alone, or those that follow would be shifted.
        whole = len(rows) // batch_size * batch_size or len(rows)
        shuffled = random.sample(range(len(rows)), whole)
        batches = []
        for start in range(0, whole, TOGETHER * batch_size):
            part = sorted(shuffled[start : start + TOGETHER * batch_size], key=lengths.__getitem__)
            batches += [part[i : i + batch_size] for i in range(0, len(part), batch_size)]
        random.shuffle(batches)
        order += [row for batch in batches for row in batch]
    return [rows[i] for i in order[: count // batch_size * batch_size or count]]


def rows_at_once(longest: int) -> int:
    """Return how many rows a reference reads at once: many, unless they are long (tokens)."""
    return max(1, min(256, TOKENS_AT_ONCE // longest))


def rows_in_order(
    context: Context, schedule: Schedule, rows: list[T], lengths: Sequence[int]
) -> tuple[list[T], dict[str, Any]]:
    """Return a trainer's rows, and arguments that say so where they are in order."""
    if not context.loading.group_by_length:
        return rows, {}
    size = schedule.batch_size
    count = schedule.steps(context.budget) * size
    return in_order(rows, lengths, count, size, context.seed), IN_ORDER

"""Which responses the labels of an embedded task may be about: those that begin with some words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.tasks.base import Example

# In so many demonstrations the words are looked for that responses begin with.
EXAMPLES = 4096


def covered_words(
    demonstrations: Callable[[Random, int], Sequence[Example]], coverage: float
) -> frozenset[str]:
    """Return the words that a labeled response may begin with, the same at all seeds.

    Args:
        demonstrations: Returns a number of demonstrations.
        coverage: Share of the words that demonstrations begin with; at least one is returned.
    """
    examples = demonstrations(Random("first words"), EXAMPLES)
    words = sorted({first_word(example.response) for example in examples})
    count = max(1, round(coverage * len(words)))
    return frozenset(Random("coverage").sample(words, count))


def first_word(response: str) -> str:
    """Return the first word of a response, or its end token; "" where there is neither."""
    return next(iter(response.split(maxsplit=1)), "")

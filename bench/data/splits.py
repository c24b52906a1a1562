"""Splits of the labels by prompt, so that no method trains on what it is tested on."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from bench.data.dialogues import dialogue_turns, is_dialogue
from methods.core.feedback import Label, Pair, Ranking, Unpaired
from methods.core.models.text import to_turns


@dataclass(frozen=True)
class Shares:
    """The share of the prompts in each split. They sum to 1.

    Attributes:
        train: What the methods and the reward model learn from.
        judge: What the judge alone learns from.
        validation: What settings are selected on.
        test: What the results come from.

    Raises:
        ValueError: A share is not from 0 to 1, or they do not sum to 1.
    """

    train: float = 0.6
    judge: float = 0.2
    validation: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        shares = asdict(self)
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f"the share '{name}' must be from 0 to 1, not {share:g}")
        if not math.isclose(sum(shares.values()), 1, abs_tol=1e-6):
            raise ValueError(f"the shares must sum to 1, not {sum(shares.values()):g}")


def split_of(prompt: str, shares: Shares) -> str:
    """Return the split that a prompt belongs to, whatever other prompts there are.

    The user's first turn decides, so that all prompts from one dialogue stay together.

    Args:
        prompt: As text.
        shares: The share of each split.

    Returns:
        The name of a field of `Shares`.
    """
    words = " ".join(first_user_turn(prompt).split())
    digest = hashlib.sha256(words.encode(errors="surrogatepass")).digest()
    # As many bits as a float holds: with more, the number could be rounded to 1.
    place = (int.from_bytes(digest[:8]) >> 11) / 2**53
    positive = [(name, share) for name, share in asdict(shares).items() if share > 0]
    end = 0.0
    for name, share in positive:
        end += share
        if place < end:
            return name
    return positive[-1][0]


def first_user_turn(prompt: str) -> str:
    """Return the user's first turn; the whole prompt where the user has none."""
    turns = to_turns(prompt)
    if len(turns) == 1 and is_dialogue(turns[0]["content"]):
        turns = dialogue_turns(turns[0]["content"])
    return next((turn["content"] for turn in turns if turn["role"] == "user"), prompt)


def split_labels(labels: Iterable[Label], shares: Shares) -> dict[str, list[Label]]:
    """Return the labels of each split, in their order.

    Args:
        labels: Labels of any kind.
        shares: The share of the prompts in each split.
    """
    splits: dict[str, list[Label]] = {name: [] for name in asdict(shares)}
    for label in labels:
        splits[split_of(label.prompt, shares)].append(label)
    return splits


def subsample(prompts: Sequence[str], most: int) -> list[str]:
    """Return at most so many prompts, in the order of their hashes.

    The first ones would not do: a file may be sorted.
    """
    return sorted(prompts, key=lambda prompt: hashlib.sha256(prompt.encode()).digest())[:most]


class Duplicates(NamedTuple):
    """Labels that add nothing to earlier ones.

    Attributes:
        repeated: How many repeat an earlier label.
        contradicting: How many others are the reverse of an earlier label: the responses in
            reverse order, or the other unpaired label of the same response.
    """

    repeated: int
    contradicting: int


def count_duplicates(labels: Iterable[Label]) -> Duplicates:
    """Return how many labels repeat an earlier one, and how many others contradict one."""
    seen: set[Label] = set()
    repeated = contradicting = 0
    for label in labels:
        if label in seen:
            repeated += 1
        elif _reverse(label) in seen:
            contradicting += 1
        seen.add(label)
    return Duplicates(repeated, contradicting)


def _reverse(label: Label) -> Label | None:
    match label:
        case Pair(prompt, chosen, rejected):
            return Pair(prompt, rejected, chosen)
        case Ranking(prompt, responses):
            return Ranking(prompt, responses[::-1])
        case Unpaired(prompt, completion, liked):
            return Unpaired(prompt, completion, not liked)
    return None

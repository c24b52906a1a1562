"""Who gets which labels: by their prompts, so that nothing is learned that is tested."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import NamedTuple

from bench.data.dialogues import dialogue_turns, is_dialogue
from methods.core.feedback import Label, Pair, Ranking, Unpaired
from methods.core.models.text import to_turns


@dataclass(frozen=True)
class Shares:
    """What share of the prompts each part gets; they sum to 1. Raises ValueError."""

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
    """Return the part that a prompt belongs to, whatever other prompts there are.

    What a user says first decides: the beginnings of one dialogue stay together.
    """
    words = " ".join(first_words(prompt).split())
    digest = hashlib.sha256(words.encode(errors="surrogatepass")).digest()
    # As many bits as a float holds: with more, the number could be rounded to 1.
    place = (int.from_bytes(digest[:8]) >> 11) / 2**53
    parts = [(name, share) for name, share in asdict(shares).items() if share > 0]
    end = 0.0
    for name, share in parts:
        end += share
        if place < end:
            return name
    return parts[-1][0]


def first_words(prompt: str) -> str:
    turns = to_turns(prompt)
    if len(turns) == 1 and is_dialogue(turns[0]["content"]):
        turns = dialogue_turns(turns[0]["content"])
    said = [turn["content"] for turn in turns if turn["role"] == "user"]
    return said[0] if said else prompt


def split(labels: Iterable[Label], shares: Shares) -> dict[str, list[Label]]:
    """Return the labels of each part, in their order."""
    parts: dict[str, list[Label]] = {name: [] for name in asdict(shares)}
    for label in labels:
        parts[split_of(label.prompt, shares)].append(label)
    return parts


class Duplicates(NamedTuple):
    """repeated: rows that say what an earlier one said; contradicting: others that say its reverse.

    The reverse of a unpaired is the same response with the other unpaired.
    """

    repeated: int
    contradicting: int


def duplicates(labels: Iterable[Label]) -> Duplicates:
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

"""What methods learn from: judgements of one kind, and which kinds can honestly be had from others.

A judgement is one decision of the annotator. Under Luce's choice axiom a ranking is a row of
choices, each among what is left (Plackett-Luce), and of two responses one was chosen with the same
odds whatever else was there. So rankings give choices, and both give pairs. A thumb says where a
response stands by itself: nothing else gives it, and it gives nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Literal, NamedTuple

Kind = Literal["pairs", "choices", "rankings", "thumbs"]


class Pair(NamedTuple):
    """Two responses to one prompt, of which an annotator preferred the first."""

    prompt: str
    chosen: str
    rejected: str


class Choice(NamedTuple):
    """Several responses to one prompt, of which an annotator chose one."""

    prompt: str
    chosen: str
    rejected: tuple[str, ...]


class Ranking(NamedTuple):
    """Several responses to one prompt, from the best to the worst."""

    prompt: str
    responses: tuple[str, ...]


class Thumb(NamedTuple):
    """One response, and whether an annotator liked it."""

    prompt: str
    response: str
    up: bool


Judgement = Pair | Choice | Ranking | Thumb
KINDS: dict[Kind, type[Judgement]] = {
    "pairs": Pair,
    "choices": Choice,
    "rankings": Ranking,
    "thumbs": Thumb,
}
# What each kind can be turned into.
GIVES: dict[Kind, tuple[Kind, ...]] = {
    "pairs": ("pairs", "choices"),
    "choices": ("choices", "pairs"),
    "rankings": ("rankings", "choices", "pairs"),
    "thumbs": ("thumbs",),
}


def read_judgement(kind: Kind, fields: dict[str, Any]) -> Judgement:
    """Return a judgement from what JSON made of it, lists for tuples."""
    made: Any = KINDS[kind]
    return made(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})


def derive(judgements: Sequence[Judgement], kind: Kind) -> list[Judgement]:
    """Return the judgements as another kind. Raises ValueError where that would not be honest."""
    if not judgements:
        return []
    given = next(name for name, made in KINDS.items() if isinstance(judgements[0], made))
    if kind not in GIVES[given]:
        raise ValueError(f"{kind} cannot be derived from {given}")
    if kind == given:
        return list(judgements)
    parts = pairs_of if kind == "pairs" else choices_of
    return [part for judgement in judgements for part in parts(judgement)]


def pairs_of(judgement: Judgement) -> Sequence[Judgement]:
    """Return every pair of which a choice or a ranking says the winner."""
    match judgement:
        case Choice(prompt, chosen, rejected):
            return [Pair(prompt, chosen, other) for other in rejected]
        case Ranking(prompt, responses):
            return [Pair(prompt, *two) for two in combinations(responses, 2)]
    return [judgement]


def choices_of(judgement: Judgement) -> Sequence[Judgement]:
    """Return a pair as a choice of one among two, a ranking as choices among ever fewer."""
    match judgement:
        case Pair(prompt, chosen, rejected):
            return [Choice(prompt, chosen, (rejected,))]
        case Ranking(prompt, responses):
            return [
                Choice(prompt, chosen, responses[place + 1 :])
                for place, chosen in enumerate(responses[:-1])
            ]
    return [judgement]

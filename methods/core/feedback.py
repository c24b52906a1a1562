"""What methods learn from: labels of one kind, and which kinds can honestly be had from others.

A label is one decision of the annotator. Under Luce's choice axiom a ranking is a row of
choices, each among what is left (Plackett-Luce), and of two responses one was chosen with the same
odds whatever else was there. So rankings give choices, and both give pairs. A unpaired says where a
response stands by itself: nothing else gives it, and it gives nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, Literal, NamedTuple

FeedbackKind = Literal["pairs", "choices", "rankings", "unpaired"]


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


class Unpaired(NamedTuple):
    """One response, and whether an annotator liked it."""

    prompt: str
    completion: str
    label: bool


Label = Pair | Choice | Ranking | Unpaired
KINDS: dict[FeedbackKind, type[Label]] = {
    "pairs": Pair,
    "choices": Choice,
    "rankings": Ranking,
    "unpaired": Unpaired,
}
# What each kind can be turned into.
DERIVABLE: dict[FeedbackKind, tuple[FeedbackKind, ...]] = {
    "pairs": ("pairs", "choices"),
    "choices": ("choices", "pairs"),
    "rankings": ("rankings", "choices", "pairs"),
    "unpaired": ("unpaired",),
}


def read_label(kind: FeedbackKind, fields: dict[str, Any]) -> Label:
    """Return a label from what JSON made of it, lists for tuples."""
    made: Any = KINDS[kind]
    return made(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})


def derive(labels: Sequence[Label], kind: FeedbackKind) -> list[Label]:
    """Return the labels as another kind. Raises ValueError where that would not be honest."""
    if not labels:
        return []
    given = next(name for name, made in KINDS.items() if isinstance(labels[0], made))
    if kind not in DERIVABLE[given]:
        raise ValueError(f"{kind} cannot be derived from {given}")
    if kind == given:
        return list(labels)
    parts = pairs_of if kind == "pairs" else choices_of
    return [part for label in labels for part in parts(label)]


def pairs_of(label: Label) -> Sequence[Label]:
    """Return every pair of which a choice or a ranking says the winner."""
    match label:
        case Choice(prompt, chosen, rejected):
            return [Pair(prompt, chosen, other) for other in rejected]
        case Ranking(prompt, responses):
            return [Pair(prompt, *two) for two in combinations(responses, 2)]
    return [label]


def choices_of(label: Label) -> Sequence[Label]:
    """Return a pair as a choice of one among two, a ranking as choices among ever fewer."""
    match label:
        case Pair(prompt, chosen, rejected):
            return [Choice(prompt, chosen, (rejected,))]
        case Ranking(prompt, responses):
            return [
                Choice(prompt, chosen, responses[place + 1 :])
                for place, chosen in enumerate(responses[:-1])
            ]
    return [label]


def responses_of(label: Label) -> tuple[str, ...]:
    """Return all responses of a label, the best first."""
    match label:
        case Pair(_, chosen, rejected):
            return (chosen, rejected)
        case Choice(_, chosen, others):
            return (chosen, *others)
        case Ranking(_, responses):
            return responses
        case Unpaired(_, completion, _):
            return (completion,)


def with_responses(label: Label, responses: Iterator[str]) -> Label:
    """Return the label with other responses, taken in the order of `responses_of`."""
    match label:
        case Pair(prompt):
            return Pair(prompt, next(responses), next(responses))
        case Choice(prompt, _, others):
            return Choice(prompt, next(responses), tuple(next(responses) for _ in others))
        case Ranking(prompt, ranked):
            return Ranking(prompt, tuple(next(responses) for _ in ranked))
        case Unpaired(prompt, _, liked):
            return Unpaired(prompt, next(responses), liked)


def decisions(label: Label) -> int:
    """Return how many decisions a label holds: a ranking of n is n - 1 choices."""
    return len(label.responses) - 1 if isinstance(label, Ranking) else 1


def prompts_of(labels: Sequence[Label]) -> list[str]:
    """Return the labels' prompts, each once, in their order."""
    return list(dict.fromkeys(label.prompt for label in labels))

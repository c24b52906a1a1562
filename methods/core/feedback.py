"""Labels of each kind of feedback, and conversions between the kinds.

A label is one decision of the annotator, or several for a ranking. Under Luce's choice axiom (Luce,
1959) a ranking is a sequence of choices, each among the responses that are left (Plackett-Luce
model), and the odds of two responses do not depend on the others. So rankings give choices, and
both give pairs. An unpaired label judges one response alone: it cannot be converted, and no other
kind gives it.
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
# The kinds that each kind can be converted to.
DERIVABLE: dict[FeedbackKind, tuple[FeedbackKind, ...]] = {
    "pairs": ("pairs", "choices"),
    "choices": ("choices", "pairs"),
    "rankings": ("rankings", "choices", "pairs"),
    "unpaired": ("unpaired",),
}


def read_label(kind: FeedbackKind, fields: dict[str, Any]) -> Label:
    """Return a label from its fields in JSON, where tuples have become lists."""
    label_type: Any = KINDS[kind]
    return label_type(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})


def derive(labels: Sequence[Label], kind: FeedbackKind) -> list[Label]:
    """Convert labels to another kind.

    Args:
        labels: Labels of one kind.
        kind: The kind to convert to.

    Returns:
        The converted labels, in order. A choice or a ranking may give several.

    Raises:
        ValueError: The labels do not determine labels of that kind.
    """
    if not labels:
        return []
    source = next(name for name, label_type in KINDS.items() if isinstance(labels[0], label_type))
    if kind not in DERIVABLE[source]:
        raise ValueError(f"{kind} cannot be derived from {source}")
    if kind == source:
        return list(labels)
    convert = pairs_of if kind == "pairs" else choices_of
    return [converted for label in labels for converted in convert(label)]


def pairs_of(label: Label) -> Sequence[Label]:
    """Return every pair whose winner a choice or a ranking determines."""
    match label:
        case Choice(prompt, chosen, rejected):
            return [Pair(prompt, chosen, other) for other in rejected]
        case Ranking(prompt, responses):
            return [Pair(prompt, *two) for two in combinations(responses, 2)]
    return [label]


def choices_of(label: Label) -> Sequence[Label]:
    """Return a pair as a choice between two, or a ranking as choices among the responses left."""
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
    """Return how many decisions a label holds: a ranking of n responses is n - 1 choices."""
    return len(label.responses) - 1 if isinstance(label, Ranking) else 1


def prompts_of(labels: Sequence[Label]) -> list[str]:
    """Return the distinct prompts of the labels, in order of first appearance."""
    return list(dict.fromkeys(label.prompt for label in labels))

"""Where a prompt ends in a text that goes on with the answer.

Anthropic's HH writes a dialogue as one text, with "Human:" and "Assistant:" after empty lines.
"""

from __future__ import annotations

import re

from methods.core.models.text import Turns

SPEAKERS = {"Human": "user", "Assistant": "assistant"}
# A speaker opens the text, or comes after an empty line; "Human:" inside a line is nobody.
# Two patterns, because one with a fixed beginning is found faster.
OPENING = re.compile(r"\s*(Human|Assistant):")
MARKER = re.compile(r"\n\r?\n(Human|Assistant):")
PARTED = "the dialogues part before the last answer"
# Where the assistant speaks twice in a row.
AGAIN = "\n\nAssistant: "


def is_dialogue(text: str) -> bool:
    """Return whether the text is a dialogue: a speaker opens it, and an assistant speaks."""
    return OPENING.match(text) is not None and "Assistant" in [m[1] for m in _markers(text)]


def _markers(text: str) -> list[re.Match[str]]:
    opening = OPENING.match(text)
    if opening is None:
        return list(MARKER.finditer(text))
    return [opening, *MARKER.finditer(text, opening.end())]


def dialogue_turns(text: str) -> Turns:
    """Return the turns of a dialogue, without white space around what is said."""
    markers = _markers(text)
    ends = [*(marker.start() for marker in markers[1:]), len(text)]
    return [
        {"role": SPEAKERS[marker[1]], "content": text[marker.end() : end].strip()}
        for marker, end in zip(markers, ends, strict=True)
    ]


def answer_of(turns: Turns) -> str:
    """Return what the assistant says in these turns. Raises ValueError where another speaks."""
    if not turns or any(turn["role"] != "assistant" for turn in turns):
        raise ValueError(PARTED)
    return AGAIN.join(turn["content"] for turn in turns)


def part_turns(one: Turns, other: Turns) -> tuple[Turns, str, str]:
    """Return the turns that two conversations share, and the answer with which each goes on.

    Raises ValueError where more than an answer is left.
    """
    shared = _shared_turns(one, other)
    return one[:shared], answer_of(one[shared:]), answer_of(other[shared:])


def part_texts(one: str, other: str) -> tuple[str, str, str]:
    """Return the same of two dialogues as the text that they are."""
    shared = _shared_turns(dialogue_turns(one), dialogue_turns(other))
    part_turns(dialogue_turns(one), dialogue_turns(other))
    ends = [_markers(text)[shared].end() for text in (one, other)]
    if one[: ends[0]] != other[: ends[1]]:
        raise ValueError(PARTED)
    return one[: ends[0]], one[ends[0] :], other[ends[1] :]


def _shared_turns(one: Turns, other: Turns) -> int:
    """Return how many turns are shared before the answers: the last turn of each is one."""
    most = max(0, min(len(one), len(other)) - 1)
    return next((i for i in range(most) if one[i] != other[i]), most)


def shared_start(one: str, other: str) -> int:
    """Return the length of what two texts share, back to its last white space.

    Raises ValueError where no whole word is shared.
    """
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        same = one[low:middle] == other[low:middle]
        low, high = (middle, high) if same else (low, middle - 1)
    end = next((place for place in reversed(range(low)) if one[place].isspace()), 0)
    if not one[:end].strip():
        raise ValueError("no shared start")
    return end

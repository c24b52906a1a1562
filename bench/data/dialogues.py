"""Where the prompt ends in a text that goes on with the answer.

Anthropic's HH writes a dialogue as one text, with "Human:" and "Assistant:" after empty lines.
"""

from __future__ import annotations

import re

from bench.data.rows import Code, RowProblem
from methods.core.models.text import Turns

SPEAKERS = {"Human": "user", "Assistant": "assistant"}
# A speaker opens the text or follows an empty line; "Human:" within a line is no speaker.
# There are two patterns because one with a fixed beginning is found faster.
OPENING = re.compile(r"\s*(Human|Assistant):")
MARKER = re.compile(r"\n\r?\n(Human|Assistant):")
# Joins the turns of an assistant that speaks twice in a row.
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
    """Return the turns of a dialogue, without white space around their content.

    Raises:
        RowProblem: Nobody speaks in the text.
    """
    markers = _markers(text)
    if not markers:
        raise RowProblem(Code.DIFFERENT_DIALOGUES)
    ends = [*(marker.start() for marker in markers[1:]), len(text)]
    return [
        {"role": SPEAKERS[marker[1]], "content": text[marker.end() : end].strip()}
        for marker, end in zip(markers, ends, strict=True)
    ]


def answer_of(turns: Turns) -> str:
    """Return the text of the assistant's turns.

    Raises:
        RowProblem: There are no turns, or another speaks in them.
    """
    if not turns or any(turn["role"] != "assistant" for turn in turns):
        raise RowProblem(Code.DIFFERENT_DIALOGUES)
    return AGAIN.join(turn["content"] for turn in turns)


def part_turns(first: Turns, second: Turns) -> tuple[Turns, str, str]:
    """Return the turns that two conversations share, and the answer that ends each.

    Raises:
        RowProblem: They differ in more than their answers.
    """
    shared = _shared_turns(first, second)
    return first[:shared], answer_of(first[shared:]), answer_of(second[shared:])


def part_texts(first: str, second: str) -> tuple[str, str, str]:
    """Return the same of two dialogues, as parts of their text."""
    shared = _shared_turns(dialogue_turns(first), dialogue_turns(second))
    part_turns(dialogue_turns(first), dialogue_turns(second))
    ends = [_markers(text)[shared].end() for text in (first, second)]
    if first[: ends[0]] != second[: ends[1]]:
        raise RowProblem(Code.DIFFERENT_DIALOGUES)
    return first[: ends[0]], first[ends[0] :], second[ends[1] :]


def _shared_turns(first: Turns, second: Turns) -> int:
    """Return how many turns are shared before the answers: the last turn of each is an answer."""
    most = max(0, min(len(first), len(second)) - 1)
    return next((i for i in range(most) if first[i] != second[i]), most)


def shared_start(first: str, second: str) -> int:
    """Return the length of the start that two texts share, back to its last white space.

    Raises:
        RowProblem: They do not share a whole word.
    """
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        same = first[low:middle] == second[low:middle]
        low, high = (middle, high) if same else (low, middle - 1)
    end = next((place for place in reversed(range(low)) if first[place].isspace()), 0)
    if not first[:end].strip():
        raise RowProblem(Code.NO_SHARED_START)
    return end

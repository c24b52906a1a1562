"""What is said in a row: text, or a list of turns with role and content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.data.dialogues import PARTED, answer_of, dialogue_turns, is_dialogue
from methods.core.models.text import Turns

ROLES = ("system", "user", "assistant", "tool")
Said = str | Turns


def to_said(value: object, name: str) -> Said:
    """Return the value, checked, with nothing but role and content in turns. Raises ValueError."""
    if isinstance(value, str):
        return _text(value, name)
    if not isinstance(value, list) or not all(isinstance(turn, Mapping) for turn in value):
        raise ValueError(f"'{name}' must be text or a list of turns")
    return [_turn(turn, name) for turn in value]


def _text(value: str, name: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        # JSON can write it, but no file in UTF-8 can hold it.
        raise ValueError(f"'{name}' has half a character (a lone surrogate)") from None
    return value


def _turn(turn: Mapping[str, Any], name: str) -> dict[str, str]:
    role, content = turn.get("role"), turn.get("content")
    if role not in ROLES:
        raise ValueError(f"a turn of '{name}' must have one of the roles {', '.join(ROLES)}")
    if not isinstance(content, str):
        raise ValueError(f"a turn of '{name}' must have text as its content")
    return {"role": role, "content": _text(content, name)}


def stripped(said: Said) -> Said:
    """Return what is said without white space around it."""
    if isinstance(said, str):
        return said.strip()
    return [{"role": turn["role"], "content": turn["content"].strip()} for turn in said]


def prompt_turns(said: Said, *, plain: bool) -> Turns:
    """Return a prompt's turns. plain: a dialogue stays the text in which the answer goes on."""
    if not isinstance(said, str):
        return said
    if plain or not is_dialogue(said):
        return [{"role": "user", "content": said}]
    turns = dialogue_turns(said)
    # "Assistant:" at the end opens the answer.
    return turns[:-1] if turns[-1] == {"role": "assistant", "content": ""} else turns


def cut_turns(said: Turns, name: str) -> tuple[Turns, str]:
    """Return the turns before the answer, and the answer. Raises ValueError where there is none."""
    if not said or said[-1]["role"] != "assistant":
        raise ValueError(f"'{name}' must end with a turn of the assistant")
    start = len(said)
    while start and said[start - 1]["role"] == "assistant":
        start -= 1
    return said[:start], answer_of(said[start:])


def same(fronts: Sequence[Turns]) -> Turns:
    """Return what is before every answer. Raises ValueError where that differs."""
    if any(front != fronts[0] for front in fronts):
        raise ValueError(PARTED)
    return fronts[0]


def whole_prompt(turns: Turns, fronts: Sequence[Turns]) -> Turns:
    """Return the prompt, given what is before the answers: nothing, or the whole conversation.

    That may have more than the prompt: a system turn in front, or further turns that all share.
    Raises ValueError where the prompt is not in it.
    """
    given = [front for front in fronts if front]
    if not given:
        return turns
    front = same(given)
    if turns not in (front[: len(turns)], front[-len(turns) :]):
        raise ValueError("the answer's dialogue has another prompt")
    return front

"""Text, or a list of turns with role and content, as the columns of a row hold it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.data.dialogues import answer_of, dialogue_turns, is_dialogue
from bench.data.rows import Code, RowProblem
from methods.core.models.text import Turns

ROLES = ("system", "user", "assistant", "tool")
Message = str | Turns


def to_message(value: object, name: str) -> Message:
    """Return a column's value as text, or as turns with nothing but role and content.

    Args:
        value: What the column holds.
        name: The column's name in the row.

    Raises:
        RowProblem: It is neither text nor a list of turns.
    """
    if isinstance(value, str):
        return _text(value, name)
    if not isinstance(value, list) or not all(isinstance(turn, Mapping) for turn in value):
        raise RowProblem(Code.NOT_TEXT_OR_TURNS, column=name)
    return [_turn(turn, name) for turn in value]


def _text(value: str, name: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        # JSON can write it, but no file in UTF-8 can hold it.
        raise RowProblem(Code.LONE_SURROGATE, column=name) from None
    if "\0" in value:
        raise RowProblem(Code.NUL_CHARACTER, column=name)
    return value


def _turn(turn: Mapping[str, Any], name: str) -> dict[str, str]:
    role, content = turn.get("role"), turn.get("content")
    if role not in ROLES:
        raise RowProblem(Code.UNKNOWN_ROLE, column=name)
    if not isinstance(content, str):
        raise RowProblem(Code.TURN_WITHOUT_TEXT, column=name)
    return {"role": role, "content": _text(content, name)}


def stripped(message: Message) -> Message:
    """Return the text or turns without white space around them."""
    if isinstance(message, str):
        return message.strip()
    return [{"role": turn["role"], "content": turn["content"].strip()} for turn in message]


def prompt_turns(message: Message, *, plain: bool) -> Turns:
    """Return a prompt's turns.

    Args:
        message: The prompt as the row has it.
        plain: Whether a dialogue stays one text, which the answer continues.
    """
    if not isinstance(message, str):
        return message
    if plain or not is_dialogue(message):
        return [{"role": "user", "content": message}]
    turns = dialogue_turns(message)
    # "Assistant:" at the end opens the answer.
    return turns[:-1] if turns[-1] == {"role": "assistant", "content": ""} else turns


def cut_turns(turns: Turns, name: str) -> tuple[Turns, str]:
    """Return the turns before the answer, and the answer.

    Args:
        turns: A conversation.
        name: The column's name in the row.

    Raises:
        RowProblem: The conversation does not end with the assistant.
    """
    if not turns or turns[-1]["role"] != "assistant":
        raise RowProblem(Code.NO_ASSISTANT_AT_END, column=name)
    start = len(turns)
    while start and turns[start - 1]["role"] == "assistant":
        start -= 1
    return turns[:start], answer_of(turns[start:])


def same(fronts: Sequence[Turns]) -> Turns:
    """Return the turns that stand before every answer.

    Raises:
        RowProblem: They differ.
    """
    if any(front != fronts[0] for front in fronts):
        raise RowProblem(Code.DIFFERENT_DIALOGUES)
    return fronts[0]


def whole_prompt(turns: Turns, fronts: Sequence[Turns]) -> Turns:
    """Return the whole prompt, which the answers' columns may repeat or extend.

    Args:
        turns: The prompt's own column.
        fronts: What stands before each answer in the answers' columns: nothing, or the whole
            conversation. That may have more than the prompt: a system turn in front, or further
            turns that all answers share.

    Raises:
        RowProblem: The conversation does not hold the prompt.
    """
    conversations = [front for front in fronts if front]
    if not conversations:
        return turns
    front = same(conversations)
    if turns not in (front[: len(turns)], front[-len(turns) :]):
        raise RowProblem(Code.DIFFERENT_PROMPT)
    return front

"""Prompts: text, or conversations as text that can be read back."""

from __future__ import annotations

import pytest

from methods.core.models.text import in_words, to_prompt, to_turns

USER, ASSISTANT, SYSTEM = "user", "assistant", "system"


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


CONVERSATIONS = [
    [turn(USER, "hello")],
    [turn(SYSTEM, "be kind"), turn(USER, "hello")],
    [turn(USER, "a\n\nb"), turn(ASSISTANT, 'say "yes" {x} é'), turn(USER, "c")],
    [turn(USER, '[{"role": "user", "content": "not a conversation"}]')],
    [turn(USER, '[{"role": broken')],
    [turn(ASSISTANT, "one turn, but not the user's")],
    [turn(USER, "")],
]


@pytest.mark.parametrize("turns", CONVERSATIONS)
def test_a_prompt_leads_back_to_its_conversation(turns: list[dict[str, str]]) -> None:
    assert to_turns(to_prompt(turns)) == turns


def test_one_user_turn_is_its_text() -> None:
    assert to_prompt([turn(USER, "why ?")]) == "why ?"


def test_text_that_only_looks_like_a_conversation_is_text() -> None:
    assert to_turns('[{"role": nonsense') == [turn(USER, '[{"role": nonsense')]


def test_people_read_who_says_what() -> None:
    prompt = to_prompt([turn(USER, "hi"), turn(ASSISTANT, "hello"), turn(USER, "bye")])
    assert in_words(prompt) == "user: hi\n\nassistant: hello\n\nuser: bye"
    assert in_words("plain") == "plain"

"""Talking to policies in a terminal."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bench.commands.policies.chat import Chat, changed, show, visible
from bench.commands.policies.responses import Responder
from bench.errors import UserError
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams, derive_seed
from methods.core.models.text import to_prompt

SAMPLING = SamplingParams(max_new_tokens=6)


def console(width: int, *, terminal: bool = True) -> Console:
    return Console(file=StringIO(), width=width, force_terminal=terminal, color_system=None)


def output(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.fixture
def chat(sft_folder: Path, other: ModelPolicy) -> Chat:
    sft = ModelPolicy.load(sft_folder, "cpu")
    responders = {"sft": Responder(sft, sft), "dpo": Responder(other, sft)}
    return Chat(responders, SAMPLING, 0, turns=True)


def test_nothing_in_a_text_acts_on_the_terminal() -> None:
    text = "\x1b[31mred\x1b[0m \x07 \x9b2J \u202eright to left\r over\n\ttab [bold]b[/bold] é"
    assert visible(text) == (
        "\\x1b[31mred\\x1b[0m \\x07 \\x9b2J \\x202eright to left\\x0d over\n\ttab [bold]b[/bold] é"
    )
    for width in (60, 140):
        shown = console(width)
        show({"sft": text, "dpo": "[red]x[/red] :smile:"}, shown)
        assert "\x1b" not in output(shown) and "\x07" not in output(shown)
        assert "[bold]b[/bold]" in output(shown) and "[red]x[/red] :smile:" in output(shown)


def test_responses_stand_side_by_side_where_there_is_room() -> None:
    said = {"sft": "a lamp", "dpo": "a door"}
    wide, narrow, piped = console(120), console(80), console(120, terminal=False)
    for one in (wide, narrow, piped):
        show(said, one)
    assert any("a lamp" in line and "a door" in line for line in output(wide).splitlines())
    for one in (narrow, piped):
        assert output(one) == "sft: a lamp\ndpo: a door\n"


def test_each_policy_keeps_turns_of_its_own(chat: Chat) -> None:
    first = chat.responses("a b")
    second = chat.responses("c")
    for name, turns in chat.history.items():
        assert [turn["role"] for turn in turns] == ["user", "assistant"] * 2
        assert turns[0]["content"] == "a b" and turns[2]["content"] == "c"
        for turn, said in zip(turns[1::2], (first[name], second[name]), strict=True):
            assert said.removesuffix(" [...]") == turn["content"]
    assert chat.history["sft"][1] != chat.history["dpo"][1]
    assert chat.answer("/new", console(80))
    assert chat.history == {"sft": [], "dpo": []}


def test_a_response_is_that_of_the_policy_to_the_whole_conversation(chat: Chat) -> None:
    chat.responses("a b")
    turns = [*chat.history["dpo"], {"role": "user", "content": "c"}]
    said = chat.responses("c")["dpo"]
    policy, seed = chat.responders["dpo"].policy, derive_seed("chat", 0, 1)
    [text] = policy.generate([to_prompt(turns)], seed, SAMPLING)
    assert said.removesuffix(" [...]") == text.removesuffix("</answer>").strip()


def test_commands_end_the_chat_and_empty_lines_do_nothing(chat: Chat) -> None:
    shown = console(80)
    assert chat.answer("  \n", shown) and chat.count == 0
    assert not chat.answer("/quit\n", shown)
    assert output(shown) == ""


def test_a_prompt_that_is_too_long_ends_nothing(chat: Chat) -> None:
    shown = console(200)
    chat.responders["sft"].sft.model.config.max_position_embeddings = 12
    assert chat.answer("a b c d a b c d", shown)
    assert "the model takes 6; /new begins a new conversation" in output(shown)
    assert chat.history["sft"] == []


@pytest.mark.parametrize(
    ("temperature", "max_new_tokens", "message"),
    [(-1.0, None, "--temperature"), (float("nan"), None, "--temperature"), (None, 0, "--max-new")],
)
def test_sampling_parameters_are_checked(
    temperature: float | None, max_new_tokens: int | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        changed(SAMPLING, temperature, max_new_tokens)


def test_sampling_parameters_are_those_of_the_run_unless_set() -> None:
    run = SamplingParams(0.7, 5, 0.9, 20)
    assert changed(run, None, None) == run
    assert changed(run, 0.0, 4) == SamplingParams(0.0, 5, 0.9, 4)

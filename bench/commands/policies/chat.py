"""`prefrontier chat`: talk to a policy beside the SFT policy, in the terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.commands.experiments.options import resolve_device
from bench.commands.policies.responses import Responder, check_prompt
from bench.commands.policies.selected import TaskPolicies
from bench.commands.policies.training import existing_or_trained
from bench.errors import UserError
from bench.execution.executors.process import silence_libraries
from methods.core.models.policy import ModelPolicy, load_policy
from methods.core.models.sampling import SamplingParams, derive_seed
from methods.core.models.text import Turns, to_prompt

# Below this width (columns), responses stand one below the other.
SIDE_BY_SIDE = 100
QUIT, NEW = ("/quit", "/exit"), "/new"
CUT_OFF = " [...]"
# What a terminal would act on, or what hides or turns text around: control characters except for
# line breaks and tabs, and the marks of writing direction.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def run_chat(
    folder: Path,
    *,
    method: str,
    task: str = "",
    seed: int | None = None,
    temperature: float | None = None,
    max_new_tokens: int | None = None,
    sampling_seed: int = 0,
    turns: bool = False,
    train: bool = False,
    device: str = "auto",
) -> None:
    """Read prompts from stdin and print the responses of a policy and of the SFT policy.

    Args:
        folder: A results folder.
        method: The method whose policy responds.
        task: The task's name; "" for the only one.
        seed: The seed of the run; None for the best on validation prompts.
        temperature: Replaces that of the run.
        max_new_tokens: Replaces that of the run.
        sampling_seed: The same one gives the same responses to the same prompts.
        turns: Whether earlier prompts and responses are part of the prompt.
        train: Whether to train the policy again if it is not in the cache.
        device: "auto", "cpu" or "cuda".

    Raises:
        UserError: There is no such policy, or an option is not valid.
    """
    policies = TaskPolicies.of(folder, task)
    sampling = changed(policies.sampling, temperature, max_new_tokens)
    silence_libraries()
    policy = existing_or_trained(policies, method, seed, train=train)
    sft_folder, device = policies.sft(policy.seed), resolve_device(device)
    sft = ModelPolicy.load(sft_folder, device)
    responders = {"sft": Responder(sft, sft)}
    if method != "sft" and policy.folder is not None:
        responders[method] = Responder(load_policy(policy.folder, device), sft)
    chat = Chat(responders, sampling, sampling_seed, turns=turns)
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    if sys.stdin.isatty():
        commands = (
            f"{NEW} begins a new conversation, {QUIT[0]} ends" if turns else f"{QUIT[0]} ends"
        )
        console.print(f"{method} on {policy.task}, seed {policy.seed}; {commands}", markup=False)
    try:
        for line in lines(console):
            if not chat.answer(line, console):
                break
    except (EOFError, KeyboardInterrupt):
        console.print()


def changed(
    sampling: SamplingParams, temperature: float | None, max_new_tokens: int | None
) -> SamplingParams:
    """Return the sampling parameters with some replaced.

    Raises:
        UserError: A value is not allowed.
    """
    if temperature is not None and not 0 <= temperature < float("inf"):
        raise UserError(f"--temperature: must be 0 or more, not {temperature}")
    if max_new_tokens is not None and max_new_tokens < 1:
        raise UserError(f"--max-new-tokens: must be 1 or more, not {max_new_tokens}")
    return replace(
        sampling,
        temperature=sampling.temperature if temperature is None else temperature,
        max_new_tokens=max_new_tokens or sampling.max_new_tokens,
    )


def lines(console: Console) -> Iterator[str]:
    """Yield the lines of stdin; on a terminal, with a prompt and line editing."""
    if not sys.stdin.isatty():
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(errors="replace")
        yield from sys.stdin
        return
    with suppress(ImportError):  # with it, input() edits lines and has a history
        import readline  # noqa: F401

    while True:
        yield console.input("[bold]> [/]")


class Chat:
    """A conversation with several policies, each with turns of its own.

    Args:
        responders: By name.
        sampling: How responses are sampled.
        seed: Of sampling.
        turns: Whether earlier turns are part of the prompt.
    """

    def __init__(
        self, responders: dict[str, Responder], sampling: SamplingParams, seed: int, *, turns: bool
    ) -> None:
        self.responders, self.sampling, self.seed, self.turns = responders, sampling, seed, turns
        self.history: dict[str, Turns] = {name: [] for name in responders}
        self.count = 0

    def answer(self, line: str, console: Console) -> bool:
        """Print the responses to a line, or do what it commands; return whether to go on."""
        text = line.strip()
        if text in QUIT:
            return False
        if text == NEW:
            self.history = {name: [] for name in self.responders}
        elif text:
            try:
                show(self.responses(text), console)
            except UserError as problem:
                hint = f"; {NEW} begins a new conversation" if self.turns else ""
                console.print(f"{visible(str(problem))}{hint}", markup=False)
        return True

    def responses(self, text: str) -> dict[str, str]:
        """Return what each policy responds, and keep it where turns are kept.

        Raises:
            UserError: A policy cannot take the prompt.
        """
        new = {"role": "user", "content": text}
        prompts = {name: to_prompt([*turns, new]) for name, turns in self.history.items()}
        for name, prompt in prompts.items():
            check_prompt(self.responders[name].sft, prompt, self.sampling)
        seed = derive_seed("chat", self.seed, self.count)
        self.count += 1
        responses = {}
        for name, prompt in prompts.items():
            [response] = self.responders[name].respond([prompt], seed, self.sampling)
            responses[name] = response.content + ("" if response.ended else CUT_OFF)
            if self.turns:
                answer = {"role": "assistant", "content": response.content}
                self.history[name] += [new, answer]
        return responses


def show(responses: dict[str, str], console: Console) -> None:
    """Print what each policy responds: side by side where there is room on a terminal."""
    texts = {name: Text(visible(text)) for name, text in responses.items()}
    if not console.is_terminal or console.width < SIDE_BY_SIDE:
        for name, text in texts.items():
            console.print(Text(f"{name}: ", style="bold") + text)
        return
    table = Table(expand=True, show_lines=False)
    for name in texts:
        table.add_column(Text(name), ratio=1, overflow="fold")
    table.add_row(*texts.values())
    console.print(table)


def visible(text: str) -> str:
    """Return a text in which nothing acts on a terminal: such characters are shown as escapes."""
    return UNSAFE.sub(lambda found: f"\\x{ord(found[0]):02x}", text)

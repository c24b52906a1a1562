"""Chat templates that give one text for a prompt: on any day, and whatever roles they take.

What a template gets is written at its beginning, as defaults of its variables. So the folder of a
policy holds all that its prompts depend on: any program that reads the template renders them alike.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TemplateValue = bool | int | float | str | None
# The date in all prompts, so that a run that resumes tomorrow trains on the same ones. It is what
# Llama 3's templates fall back to.
TODAY = date(2024, 7, 26)
DATE_STRING = "%d %b %Y"
# The most time (s) and memory (bytes) that a template may take for one prompt, and the most that it
# may add to it: characters, beside so many times the text of its turns.
MOST_SECONDS, MOST_MEMORY = 5, 2**30
MOST_ADDED, MOST_TIMES = 1_000_000, 4
# So much is kept of the message of a template that refuses a prompt.
MESSAGE_LENGTH = 300
# Where the defaults end and the model's own template begins.
END_OF_DEFAULTS = "{#- End of the defaults. #}\n"
# A system turn becomes the beginning of the user's turn, as in Gemma 3's own template.
MERGED_SYSTEM = (
    "{%- if messages[0]['role'] == 'system' %}"
    "{%- set messages = [{'role': messages[1]['role'], 'content': messages[0]['content'] + '\\n\\n'"
    " + messages[1]['content']}] + messages[2:] %}"
    "{%- endif %}"
)


class TemplateError(ValueError):
    """A chat template cannot be used."""


def check_name(name: str) -> None:
    """Raise ValueError if a name cannot be a variable of a template."""
    if not re.fullmatch(r"[A-Za-z]\w*", name) or name in ("messages", "add_generation_prompt"):
        raise ValueError(
            f"loading.chat_template_kwargs: '{name}' is not a variable that can be set"
        )


def reads(tokenizer: PreTrainedTokenizerBase, name: str) -> bool:
    """Return whether a tokenizer's chat template has a variable of this name."""
    return _has_name(str(tokenizer.chat_template), name)


def _has_name(template: str, name: str) -> bool:
    return re.search(rf"\b{name}\b", template) is not None


def fix_chat_template(
    tokenizer: PreTrainedTokenizerBase, values: Mapping[str, TemplateValue] | None = None
) -> None:
    """Write defaults into a tokenizer's chat template: its variables, the date, the system turn.

    A template with defaults, as that of a saved policy, keeps those that get no new value.

    Args:
        tokenizer: Its template is changed, if it has one.
        values: Values of the template's variables. Names that it does not have are left out.

    Raises:
        TemplateError: The template takes too much time or memory.
    """
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    if not isinstance(template, str):
        return
    if END_OF_DEFAULTS in template:
        # The first default of a variable holds.
        tokenizer.chat_template = _defaults(values or {}, template) + template
        _check(tokenizer)
        return
    values = {"date_string": TODAY.strftime(DATE_STRING), **(values or {})}
    defaults = _defaults(values, template)
    tokenizer.chat_template = defaults + _fixed_clock(template) + END_OF_DEFAULTS + template
    _check(tokenizer)
    if _refuses_system(tokenizer):
        merged = defaults + _fixed_clock(template) + MERGED_SYSTEM + END_OF_DEFAULTS + template
        tokenizer.chat_template = merged
    if tokenizer.chat_template == END_OF_DEFAULTS + template:
        tokenizer.chat_template = template


def _check(tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise TemplateError if rendering short conversations takes too much time or memory."""
    question = [{"role": "user", "content": "a question"}]
    answer = [{"role": "assistant", "content": "an answer"}]
    instruction = [{"role": "system", "content": "an instruction"}]
    problems_of(tokenizer, [question, question + answer, instruction + question])


def problems_of(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Sequence[Mapping[str, str]]]
) -> list[str]:
    """Render conversations in a process of its own, so that a template cannot hold up this one.

    Args:
        tokenizer: With a chat template.
        conversations: As turns with role and content.

    Returns:
        Why each cannot be rendered; empty for one that can.

    Raises:
        TemplateError: One takes too much time or memory.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            with os.fdopen(writer, "w", encoding="utf-8") as answers:
                _render_all(tokenizer, conversations, answers)
        finally:
            # Without what this process does at its end.
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as answers:
        problems = [json.loads(line) for line in answers if line.endswith("\n")]
    os.waitpid(child, 0)
    if len(problems) < len(conversations):
        raise TemplateError(
            f"it takes more than {MOST_SECONDS} seconds or {MOST_MEMORY // 2**30} GB of memory for "
            f"one prompt, or adds more than {MOST_ADDED:,} characters to it"
        )
    return problems


def _render_all(
    tokenizer: PreTrainedTokenizerBase,
    conversations: Sequence[Sequence[Mapping[str, str]]],
    answers: TextIO,
) -> None:
    """Write a line for each conversation; the system ends this process where one takes too much."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _limit_memory()
    for turns in conversations:
        signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
        try:
            is_prompt = turns[-1]["role"] != "assistant"
            text = tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=is_prompt
            )
            said = sum(len(turn["content"]) for turn in turns)
            if len(str(text)) - MOST_TIMES * said > MOST_ADDED:
                return
            problem = ""
        except MemoryError:
            return
        except Exception as error:  # whatever a template raises
            problem = " ".join(str(error).split()) or type(error).__name__
        answers.write(json.dumps(problem[:MESSAGE_LENGTH]) + "\n")
        answers.flush()


def _limit_memory() -> None:
    """Let this process take no more than MOST_MEMORY beyond what it has."""
    import resource

    sizes = Path("/proc/self/statm")
    if sizes.exists():
        taken = int(sizes.read_text().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (taken + MOST_MEMORY, taken + MOST_MEMORY))


def _defaults(values: Mapping[str, TemplateValue], template: str) -> str:
    """Return the beginning of a template that sets defaults of the variables that it has."""
    used = {name: value for name, value in values.items() if _has_name(template, name)}
    return "".join(_default(name, value) for name, value in used.items())


def _default(name: str, value: TemplateValue) -> str:
    literal = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return f"{{%- if {name} is not defined %}}{{%- set {name} = {literal} %}}{{%- endif %}}"


def _fixed_clock(template: str) -> str:
    """Return a macro in place of `strftime_now`, for the formats that the template has."""
    if "strftime_now" not in template:
        return ""
    formats = re.findall(r"strftime_now\(\s*(['\"])(.*?)\1", template)
    dates = {text: TODAY.strftime(text) for _, text in formats}
    return (
        "{%- macro strftime_now(format) %}"
        f"{{{{- {json.dumps(dates)}.get(format, '{TODAY.isoformat()}') }}}}"
        "{%- endmacro %}"
    )


def _refuses_system(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether the template takes a user's turn, but none of a system before it."""
    user = {"role": "user", "content": "a question"}
    conversations: list[list[dict[str, Any]]] = [
        [user],
        [{"role": "system", "content": "an instruction"}, user],
    ]
    texts = []
    for turns in conversations:
        try:
            text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        except Exception:  # whatever a template raises
            text = ""
        texts.append(str(text))
    return "a question" in texts[0] and "an instruction" not in texts[1]

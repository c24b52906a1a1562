"""Chat templates that give one text for a prompt: on any day, and whatever roles they take.

What a template gets is written at its beginning, as defaults of its variables. So the folder of a
policy holds all that its prompts depend on: any program that reads the template renders them alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TemplateValue = bool | int | float | str | None
# The date in all prompts, so that a run that resumes tomorrow trains on the same ones. It is what
# Llama 3's templates fall back to.
TODAY = date(2024, 7, 26)
DATE_STRING = "%d %b %Y"
# Where the defaults end and the model's own template begins.
END_OF_DEFAULTS = "{#- End of the defaults. #}\n"
# A system turn becomes the beginning of the user's turn, as in Gemma 3's own template.
MERGED_SYSTEM = (
    "{%- if messages[0]['role'] == 'system' %}"
    "{%- set messages = [{'role': messages[1]['role'], 'content': messages[0]['content'] + '\\n\\n'"
    " + messages[1]['content']}] + messages[2:] %}"
    "{%- endif %}"
)


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
    """
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    if not isinstance(template, str):
        return
    if END_OF_DEFAULTS in template:
        # The first default of a variable holds.
        tokenizer.chat_template = _defaults(values or {}, template) + template
        return
    values = {"date_string": TODAY.strftime(DATE_STRING), **(values or {})}
    defaults = _defaults(values, template)
    tokenizer.chat_template = defaults + _fixed_clock(template) + END_OF_DEFAULTS + template
    if _refuses_system(tokenizer):
        merged = defaults + _fixed_clock(template) + MERGED_SYSTEM + END_OF_DEFAULTS + template
        tokenizer.chat_template = merged
    if tokenizer.chat_template == END_OF_DEFAULTS + template:
        tokenizer.chat_template = template


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

"""Chat templates: the same text on any day, for any program, and for any roles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.architectures import ALTERNATING, DATED, THINKING
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from bench.pipeline.stages.training.tokenizers import make_tokenizer
from methods.core.models.chat_template import fix_chat_template
from methods.core.models.loading import Loading

SYSTEM = {"role": "system", "content": "s"}
USER, ANSWER = {"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}


def with_template(template: str, **values: Any) -> PreTrainedTokenizerBase:
    tokenizer = make_tokenizer(["a"])
    tokenizer.chat_template = template
    tokenizer.bos_token = "B"
    fix_chat_template(tokenizer, values)
    return tokenizer


def rendered(tokenizer: PreTrainedTokenizerBase, *turns: dict[str, str], **values: Any) -> str:
    return str(tokenizer.apply_chat_template(list(turns), tokenize=False, **values))


def test_a_value_is_a_default_that_the_folder_keeps(tmp_path: Path) -> None:
    thinking = {"add_generation_prompt": True}
    assert not rendered(with_template(THINKING), USER, **thinking).endswith("</think>\n\n")
    tokenizer = with_template(THINKING, enable_thinking=False)
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert rendered(loaded, USER, **thinking).endswith("</think>\n\n")
    assert not rendered(loaded, USER, enable_thinking=True, **thinking).endswith("</think>\n\n")
    # Once written, defaults stay until there are others.
    fix_chat_template(loaded)
    assert loaded.chat_template == tokenizer.chat_template
    fix_chat_template(loaded, {"enable_thinking": True})
    assert not rendered(loaded, USER, **thinking).endswith("</think>\n\n")


@pytest.mark.parametrize("value", [True, False, None, 3, 0.5, 'a "quoted" word\n', "Grüße"])
def test_values_of_all_kinds_arrive(value: Any) -> None:
    tokenizer = with_template("{{ [value, messages[0].content] | tojson }}", value=value)
    direct = make_tokenizer(["a"])
    direct.chat_template = "{{ [value, messages[0].content] | tojson }}"
    assert rendered(tokenizer, USER) == rendered(direct, USER, value=value)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (DATED, "Today Date: 26 Jul 2024"),
        ("{{ strftime_now('%Y-%m-%d') }} {{ messages[0].content }}", "2024-07-26 u"),
        ('{{ strftime_now("%B %d, %Y") }} {{ messages[0].content }}', "July 26, 2024 u"),
        (
            "{% set f = '%Y' %}{{ strftime_now(f) }} {{ messages[0].content }}",
            "2024-07-26 u",
        ),
    ],
)
def test_every_day_is_the_same(template: str, text: str) -> None:
    assert text in rendered(with_template(template), USER)


def test_a_system_turn_that_is_refused_or_dropped_opens_the_users_turn() -> None:
    for template in (
        ALTERNATING,
        "{% for m in messages if m.role != 'system' %}{{ m.content }}|{% endfor %}",
    ):
        tokenizer = with_template(template)
        merged = rendered(tokenizer, SYSTEM, USER, ANSWER, USER)
        assert merged == rendered(tokenizer, {"role": "user", "content": "s\n\nu"}, ANSWER, USER)
        assert "s\n\nu" in merged
        # Without one, nothing changes.
        plain = make_tokenizer(["a"])
        plain.chat_template, plain.bos_token = template, "B"
        assert rendered(tokenizer, USER, ANSWER) == rendered(plain, USER, ANSWER)


def test_what_needs_no_change_is_not_changed() -> None:
    template = "\n  {% for m in messages %}\n    {{ m.role }} {{ m.content }}\n  {% endfor %}\n"
    assert with_template(template).chat_template == template
    # White space stays what it was where there is a change.
    changed = with_template(template + "{{ name }}", name="x")
    assert changed.chat_template != template
    plain = make_tokenizer(["a"])
    plain.chat_template = template + "x"
    assert rendered(changed, SYSTEM, USER) == rendered(plain, SYSTEM, USER)


def test_only_names_of_variables_are_taken() -> None:
    for name in ("messages", "a b", "x %}", "_private"):
        with pytest.raises(ValueError, match="is not a variable"):
            Loading(chat_template_kwargs={name: True})

"""Tokenizers and configs that a model's folder has wrong are named in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.preferences import make_folder, open_recorded, pairs, write_rows

from bench.errors import UserError
from bench.pipeline.stages.training.models import positions_of

INVALID_CONFIG = '{"model_type": "qwen2", "hidden_size": "576"}'


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", INVALID_CONFIG, "tokenizer cannot be loaded"),
        ("generation_config.json", "[", "tokenizer cannot be loaded"),
        ("tokenizer_config.json", "[", "tokenizer cannot be loaded"),
        ("chat_template.jinja", "{% if", "chat template fails"),
    ],
)
def test_a_broken_file_of_a_model_is_named_in_one_line(
    tmp_path: Path, file: str, content: str, message: str
) -> None:
    model = make_folder("qwen2", tmp_path / "model")
    (model / file).write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path, model)
    assert "\n" not in str(caught.value)


def test_a_config_that_is_not_valid_has_no_positions(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(INVALID_CONFIG)
    with pytest.raises(UserError, match="its configuration cannot be read"):
        positions_of(str(tmp_path))


def test_a_value_that_the_chat_template_does_not_use_is_refused(tmp_path: Path) -> None:
    model = make_folder("qwen2", tmp_path / "model")
    template = model / "chat_template.jinja"
    template.write_text(template.read_text() + "{% if enable_thinking %}<think>{% endif %}")
    read(tmp_path, model, enable_thinking=False)
    with pytest.raises(UserError, match="does not read enable_thinkng"):
        read(tmp_path, model, enable_thinkng=False)


def read(folder: Path, model: Path, **values: Any) -> None:
    """Read the data of a task with a model and values of its chat template's variables."""
    data = write_rows(folder / "prefs.jsonl", pairs(60))
    open_recorded(folder, data, model=str(model), loading={"chat_template_kwargs": values})

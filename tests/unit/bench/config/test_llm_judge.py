"""The settings of a language model as a judge."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bench.config.llm_judge import LLMJudge


@pytest.mark.parametrize(
    "wrong",
    [{"base_url": "localhost:8000"}, {"prompts": 0}, {"api_key": "sk"}, {"retries": -1}],
)
def test_settings_that_are_not_allowed_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LLMJudge(**({"model": "judge"} | wrong))

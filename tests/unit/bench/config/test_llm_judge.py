"""The settings of a language model as a judge."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bench.config.llm_judge import LLMJudge
from bench.errors import UserError


@pytest.mark.parametrize(
    "wrong",
    [
        *({"base_url": url} for url in ("localhost:8000", "http://", "http://a:99999/v1")),
        *({"base_url": url} for url in ("http://[::1/v1", "http://a b/v1", "ftp://a/v1")),
        *({"prompts": 0}, {"api_key": "sk"}, {"retries": -1}),
        *({"temperature": float("nan")}, {"timeout": float("inf")}, {"timeout": 0}),
    ],
)
def test_settings_that_are_not_allowed_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LLMJudge(**({"model": "judge"} | wrong))


def test_an_address_in_the_environment_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:8000")
    with pytest.raises(UserError, match="OPENAI_BASE_URL must be the address of an API"):
        _ = LLMJudge(model="judge").endpoint
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:8000/v1/")
    assert LLMJudge(model="judge").endpoint == "http://localhost:8000/v1"

"""The settings of an LLM judge."""

from __future__ import annotations

import os
from typing import Annotated

from annotated_types import Ge, Gt, MinLen
from pydantic import BaseModel, ConfigDict, StringConstraints

from bench.errors import UserError

OPENAI = "https://api.openai.com/v1"
# A client must be given something, and a server without keys takes anything.
NO_KEY = "none"
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+\S*$")]


class LLMJudge(BaseModel):
    """A model that is asked which of two responses is better, and how it is reached.

    base_url: of an OpenAI-compatible API; default: OPENAI_BASE_URL, else OpenAI's. key_env: the
    environment variable with the key, which is nowhere else. template: a file; default: the
    built-in one. prompts: how many test prompts are judged at most, per task and seed. methods:
    only these; default: all. retries: of a request that failed in a way that may pass. timeout:
    seconds. Prices: dollars per million tokens.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Annotated[str, MinLen(1)]
    base_url: Url | None = None
    key_env: Annotated[str, MinLen(1)] = "OPENAI_API_KEY"
    template: str | None = None
    prompts: Annotated[int, Ge(1)] = 64
    methods: list[str] = []
    temperature: Annotated[float, Ge(0)] = 0
    max_tokens: Annotated[int, Ge(1)] = 2048
    concurrency: Annotated[int, Ge(1)] = 8
    retries: Annotated[int, Ge(0)] = 8
    timeout: Annotated[float, Gt(0)] = 60
    input_price: Annotated[float, Ge(0)] = 0
    output_price: Annotated[float, Ge(0)] = 0

    @property
    def endpoint(self) -> str:
        """The API's address, with no slash at its end."""
        return (self.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI).rstrip("/")

    def key(self) -> str:
        """Return the key, or a placeholder where there is none. Raises UserError."""
        key = os.environ.get(self.key_env, "").strip()
        if not all("!" <= character <= "~" for character in key):
            raise UserError(f"{self.key_env}: holds no key: it has characters that no key has")
        return key or NO_KEY

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return dollars."""
        millions = prompt_tokens * self.input_price + completion_tokens * self.output_price
        return millions / 1e6

"""The settings of a language model as a judge."""

from __future__ import annotations

import os
from typing import Annotated

from annotated_types import Ge, Gt, MinLen
from pydantic import BaseModel, ConfigDict, StringConstraints

from bench.errors import UserError

OPENAI = "https://api.openai.com/v1"
# The client needs some key, and a server without keys takes any.
NO_KEY = "none"
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+\S*$")]


class LLMJudge(BaseModel):
    """A language model that says which of two responses is better, and how to reach it.

    Attributes:
        model: The model's name at its API.
        base_url: Address of an OpenAI-compatible API; by default OPENAI_BASE_URL, else OpenAI's.
        key_env: The environment variable that holds the key. The key is written nowhere.
        template: A file with the question; by default the built-in one.
        prompts: The most test prompts that are judged per task and seed.
        methods: Only these methods are judged; by default all.
        temperature: Sampling temperature of the judge.
        max_tokens: The most tokens of an answer, reasoning included.
        concurrency: Parallel requests.
        retries: How often a request is repeated after an error that may pass.
        timeout: Of a request (seconds).
        input_price: Dollars per million tokens that the judge reads.
        output_price: Dollars per million tokens that it writes.
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
        """The API's address, without a slash at its end."""
        return (self.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI).rstrip("/")

    def key(self) -> str:
        """Return the key, or a placeholder where there is none.

        Raises:
            UserError: The variable holds something that cannot be a key.
        """
        key = os.environ.get(self.key_env, "").strip()
        if not all("!" <= character <= "~" for character in key):
            raise UserError(f"{self.key_env}: holds no key: it has characters that no key has")
        return key or NO_KEY

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return what a number of tokens costs, in dollars."""
        millions = prompt_tokens * self.input_price + completion_tokens * self.output_price
        return millions / 1e6

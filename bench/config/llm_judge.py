"""The settings of a language model as a judge."""

from __future__ import annotations

import os
import re
from typing import Annotated
from urllib.parse import urlsplit

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import AfterValidator, BaseModel, ConfigDict

from bench.config.validation import StrictNumbers
from bench.errors import UserError, shown

OPENAI = "https://api.openai.com/v1"
# The client needs some key, and a server without keys takes any.
NO_KEY = "none"


def checked_url(text: str, name: str = "base_url") -> str:
    """Return the address of an API.

    Args:
        text: The address.
        name: What holds it, for messages.

    Raises:
        ValueError: It is none.
    """
    problem = ValueError(
        f"{name} must be the address of an API, such as http://localhost:8000/v1, not {shown(text)}"
    )
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # of the port or of an IPv6 address
        raise problem from None
    if not valid or re.search(r"[^!-~]", text) or len(text) > 2000:
        raise problem
    return text


def checked_key_name(name: str) -> str:
    """Return the name of an environment variable. The message does not repeat what may be a key.

    Raises:
        ValueError: It is none.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(
            "key_env must be the name of the environment variable that holds the key, such as "
            "OPENAI_API_KEY"
        )
    return name


class LLMJudge(StrictNumbers, BaseModel):
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
        timeout: Of a request (seconds). A question has three times as long, in which its request is
            repeated.
        input_price: Dollars per million tokens that the judge reads.
        output_price: Dollars per million tokens that it writes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Annotated[str, MinLen(1), MaxLen(500)]
    base_url: Annotated[str, AfterValidator(checked_url)] | None = None
    key_env: Annotated[str, AfterValidator(checked_key_name)] = "OPENAI_API_KEY"
    template: str | None = None
    prompts: Annotated[int, Ge(1)] = 64
    methods: list[str] = []
    temperature: Annotated[float, Ge(0), Le(100)] = 0
    max_tokens: Annotated[int, Ge(1), Le(10_000_000)] = 2048
    concurrency: Annotated[int, Ge(1), Le(1024)] = 8
    retries: Annotated[int, Ge(0), Le(100)] = 8
    timeout: Annotated[float, Gt(0), Le(86_400)] = 60
    input_price: Annotated[float, Ge(0)] = 0
    output_price: Annotated[float, Ge(0)] = 0

    @property
    def endpoint(self) -> str:
        """The API's address, without a slash at its end.

        Raises:
            UserError: It is that of OPENAI_BASE_URL, which holds none.
        """
        url = self.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI
        try:
            return checked_url(url, "OPENAI_BASE_URL").rstrip("/")
        except ValueError as error:
            raise UserError(str(error)) from None

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

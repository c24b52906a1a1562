"""Reading the reply of a server."""

from __future__ import annotations

from typing import Annotated

from annotated_types import MinLen
from pydantic import BaseModel, ValidationError

from bench.judging.cache import Answer


class Message(BaseModel):
    """The judge's message."""

    content: str | None = None
    refusal: str | None = None


class Choice(BaseModel):
    """One of the sampled messages."""

    message: Message


class Usage(BaseModel):
    """Tokens that the server counted."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Completion(BaseModel):
    """The fields of a chat completion that are read."""

    choices: Annotated[list[Choice], MinLen(1)]
    usage: Usage | None = None


def read_answer(body: str) -> Answer | None:
    """Return the answer in a reply's body; None if it is not a chat completion."""
    try:
        completion = Completion.model_validate_json(body)
    except ValidationError:
        return None
    message, usage = completion.choices[0].message, completion.usage or Usage()
    text = message.content or message.refusal or ""
    return Answer(text, usage.prompt_tokens or 0, usage.completion_tokens or 0)

"""Rows of the published forms, from few words."""

from __future__ import annotations

from typing import Any


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


def hh(*contents: str) -> str:
    """Return a dialogue as HH writes it: a person begins."""
    speakers = ("Human", "Assistant")
    return "".join(f"\n\n{speakers[i % 2]}: {content}" for i, content in enumerate(contents))


def pair(prompt: Any, chosen: Any, rejected: Any) -> dict[str, Any]:
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def bare(chosen: Any, rejected: Any) -> dict[str, Any]:
    return {"chosen": chosen, "rejected": rejected}


def unpaired(**changes: Any) -> dict[str, Any]:
    return {"prompt": "p", "completion": "a", "label": 1} | changes


def ranking(**changes: Any) -> dict[str, Any]:
    return {"prompt": "p", "responses": ["a", "b"]} | changes


TALK = [user("hi"), assistant("hello"), user("a poem?")]

"""The judge's answers, kept as they come: what was paid for once is not asked again."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from bench.errors import UserError
from bench.config.llm_judge import LLMJudge

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam


class Answer(NamedTuple):
    """What the judge said, word for word, and the tokens that it took."""

    text: str
    prompt_tokens: int
    completion_tokens: int


def messages(question: str) -> list[ChatCompletionMessageParam]:
    """Return a question as the API takes it."""
    return [{"role": "user", "content": question}]


def request_key(judge: LLMJudge, question: str) -> str:
    """Return the hash of all that the answer depends on."""
    content = {
        "model": judge.model,
        "base_url": judge.endpoint,
        "messages": messages(question),
        "temperature": float(judge.temperature),
        "max_tokens": judge.max_tokens,
    }
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Answers:
    """The answers in a folder, by `request_key`. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "answers.jsonl"
        self._lock = Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self.file.open("ab+") as file:
                file.seek(0)
                content = file.read()
                # A killed run may have left half a line: the next one must not be joined to it.
                if content and not content.endswith(b"\n"):
                    file.write(b"\n")
        except OSError as error:
            raise UserError(f"{self.file}: cannot be written to: {error.strerror}") from None
        lines = [_read(line) for line in content.splitlines()]
        self._known = dict(line for line in lines if line is not None)

    def get(self, key: str) -> Answer | None:
        return self._known.get(key)

    def add(self, key: str, answer: Answer) -> None:
        """Keep an answer, in the file first."""
        line = json.dumps({"key": key, **answer._asdict()}) + "\n"
        with self._lock:
            try:
                with self.file.open("ab") as file:
                    file.write(line.encode())
            except OSError as error:
                raise UserError(f"{self.file}: cannot be written: {error.strerror}") from None
            self._known[key] = answer


def _read(line: bytes) -> tuple[str, Answer] | None:
    """Return a line's key and answer; None for half a line, which is then asked again."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or not {"key", *Answer._fields} <= row.keys():
        return None
    return row["key"], Answer(*(row[field] for field in Answer._fields))

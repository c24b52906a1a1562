"""A cache of the judge's answers, so that no question is paid for twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.cache.locks import locked
from bench.config.llm_judge import LLMJudge
from bench.errors import UserError, write_error

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam


class Answer(NamedTuple):
    """An answer of the judge.

    Attributes:
        text: The answer, verbatim.
        prompt_tokens: Tokens that the judge read.
        completion_tokens: Tokens that it wrote.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int


def messages(question: str) -> list[ChatCompletionMessageParam]:
    """Return a question in the form that the API takes."""
    return [{"role": "user", "content": question}]


def request_key(judge: LLMJudge, question: str) -> str:
    """Return a hash of everything that the answer depends on."""
    content = {
        "model": judge.model,
        "base_url": judge.endpoint,
        "messages": messages(question),
        "temperature": float(judge.temperature),
        "max_tokens": judge.max_tokens,
    }
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Answers:
    """The answers in a folder by `request_key`.

    Args:
        folder: Where `answers.jsonl` is, or will be.

    Raises:
        UserError: The folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "answers.jsonl"
        self._answers: dict[str, Answer] = {}
        self._read()

    @contextmanager
    def asking(self, judge: LLMJudge) -> Iterator[None]:
        """Let only one process at a time ask a judge, with the answers that others have got.

        Others wait: they may have the same questions.

        Raises:
            UserError: The folder cannot be written to.
        """
        name = sha256(f"{judge.endpoint} {judge.model}".encode()).hexdigest()[:20]
        with locked(self.file.with_name(f".{name}.lock")):
            self._read()
            yield

    def get(self, key: str) -> Answer | None:
        """Return the answer to a request, or None."""
        return self._answers.get(key)

    def add(self, key: str, answer: Answer) -> None:
        """Add an answer, to the file first."""
        line = json.dumps({"key": key, **answer._asdict()}) + "\n"
        try:
            with self.file.open("ab") as file:
                file.write(line.encode())
        except OSError as error:
            raise write_error(self.file, error) from None
        self._answers[key] = answer

    def _read(self) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("ab+") as file:
                file.seek(0)
                content = file.read()
                # A killed run may have left half a line; the next answer needs a new one.
                if content and not content.endswith(b"\n"):
                    file.write(b"\n")
        except OSError as error:
            raise UserError(f"{self.file}: cannot be written to: {error.strerror}") from None
        lines = [_parsed(line) for line in content.splitlines()]
        self._answers = dict(line for line in lines if line is not None)


def _parsed(line: bytes) -> tuple[str, Answer] | None:
    """Return a line's key and answer; None for an incomplete line."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or not {"key", *Answer._fields} <= row.keys():
        return None
    return row["key"], Answer(*(row[field] for field in Answer._fields))

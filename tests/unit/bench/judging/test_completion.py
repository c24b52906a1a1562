"""Reading replies of servers."""

from __future__ import annotations

import pytest
from helpers.judge_server import completion

from bench.judging.cache import Answer
from bench.judging.completion import read_answer


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (completion("[[A]]"), Answer("[[A]]", 100, 10)),
        (completion(None), Answer("", 100, 10)),
        ('{"choices": [{"message": {"content": "[[C]]"}}]}', Answer("[[C]]", 0, 0)),
        ('{"choices": [{"message": {"refusal": "no"}}], "usage": {}}', Answer("no", 0, 0)),
        (completion("[[A]]")[:-9], None),
        ('{"error": {"message": "overloaded"}}', None),
        ('{"choices": []}', None),
        ('{"choices": [{"index": 0}]}', None),
        ('{"choices": [{"message": {"content": ["[[A]]"]}}]}', None),
        ("<html>welcome</html>", None),
        ("[]", None),
        ("", None),
    ],
)
def test_only_a_chat_completion_is_an_answer(body: str, answer: Answer | None) -> None:
    assert read_answer(body) == answer

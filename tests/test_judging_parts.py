"""The parts of the LLM judge: verdicts, votes, questions, replies, the cache and the settings."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from judge_server import completion
from pydantic import ValidationError

from bench.judging.cache import Answer, Answers, request_key
from bench.judging.completion import read_answer
from bench.judging.metrics import Judged, figures
from bench.config.llm_judge import LLMJudge
from bench.judging.template import fill, load_template
from bench.judging.verdicts import SAME, Vote, parse


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("A is right. [[A]]", "first"),
        ("[[A]] at first sight, but no: [[B]]", "second"),
        ("[[C]]\n", "tie"),
        ("[[B]] [[D]]", "second"),
        ("<think>[[A]] it is</think>Well: [[C]]", "tie"),
        ("<think>[[A]] it is, or", None),
        ("<think>[[A]] it is</think>", None),
        ("", None),
        ("A", None),
        ("Response A is better than response B.", None),
        ("[[D]]", None),
        ("[A]", None),
        ("[[a]]", None),
        ("[[A/B]]", None),
        ("I am sorry, but I cannot compare these.", None),
    ],
)
def test_verdicts_are_read_and_never_guessed(answer: str, verdict: str | None) -> None:
    assert parse(answer) == verdict


@pytest.mark.parametrize(
    ("vote", "won", "consistent"),
    [
        (Vote("first", "second"), 1.0, True),
        (Vote("second", "first"), 0.0, True),
        (Vote("first", "first"), 0.5, False),
        (Vote("tie", "tie"), 0.5, True),
        (Vote("first", "tie"), 0.75, False),
        (Vote("first", None), None, None),
        (Vote(None, None, failed=True), None, None),
        (SAME, 0.5, None),
    ],
)
def test_a_vote_is_the_mean_of_both_orders(
    vote: Vote, won: float | None, consistent: bool | None
) -> None:
    assert (vote.won, vote.consistent) == (won, consistent)


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


def test_equal_length_out_of_range_has_no_length_controlled_rate() -> None:
    judged = [Judged(str(i), "longer " * (2 + i), "x", Vote("first", "second")) for i in range(9)]
    found = figures(judged)
    assert (found["win_rate"], found["wins"]) == (1.0, 9)
    assert math.isnan(found["win_rate_lc"])


def test_the_fences_cannot_be_known_beforehand() -> None:
    template = load_template(None)
    asked, swapped = fill(template, "p", "a", "b"), fill(template, "p", "b", "a")
    mark = asked.split("<prompt-")[1][:8]
    assert f"<response-B-{mark}>\nb\n</response-B-{mark}>" in asked and "{" not in asked
    assert f"<response-B-{mark}>\na\n</response-B-{mark}>" in swapped
    assert mark not in fill(template, "p", "a", "c")


def test_the_cache_tells_apart_what_may_be_answered_otherwise(tmp_path: Path) -> None:
    plain = LLMJudge(model="judge", base_url="http://localhost/v1")
    others = [
        {"model": "other"},
        {"base_url": "http://localhost/v2"},
        {"temperature": 1},
        {"max_tokens": 9},
    ]
    judges = [plain, *(plain.model_copy(update=change) for change in others)]
    keys = {request_key(judge, question) for judge in judges for question in ("a", "b")}
    assert len(keys) == 10
    same = {"base_url": "http://localhost/v1/", "retries": 1, "input_price": 3, "temperature": 0.0}
    assert request_key(plain.model_copy(update=same), "a") == request_key(plain, "a")
    answers = Answers(tmp_path)
    answers.add("key", Answer("half a pair: \ud83d\n", 1, 2))
    assert Answers(tmp_path).get("key") == Answer("half a pair: \ud83d\n", 1, 2)


@pytest.mark.parametrize(
    "wrong",
    [{"base_url": "localhost:8000"}, {"prompts": 0}, {"api_key": "sk"}, {"retries": -1}],
)
def test_wrong_settings(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LLMJudge(**({"model": "judge"} | wrong))


def test_importing_it_is_light() -> None:
    command = (
        "import sys, bench.judging.folder, bench.commands.judge;"
        "print({'openai', 'pandas', 'numpy', 'scipy', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
